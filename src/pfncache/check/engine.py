# SPDX-License-Identifier: GPL-2.0-only
"""The engine, native through Numba: executes step code, searches breadth first with an exact set of visited states."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

import pfncache.check.native  # noqa: F401 - says where the native code of all functions below is kept
from pfncache.check.link import (
    ACTOR,
    ACTORS,
    AT_END,
    CODE,
    CONSTANTS,
    INSTR,
    MASKS,
    N_ACTORS,
    N_CONSTANTS,
    N_MASKS,
    SAVE,
    SAVES,
    SLOT,
    TABLES,
    VARIABLES,
    WORDS,
    YIELD,
    YIELDS,
)

STEPPED, BLOCKED, FAILED, RANGE, ENDLESS, ALIKE = 0, 1, 2, 3, 4, 5
"""What became of a step: taken, cannot be taken now, reached a failure, left the room of a value, does not end, is like
one with another outcome."""
OUT_CHOICES, OUT_EVENTS, OUT_DETAIL, OUT_SIZE = 0, 1, 2, 4
MAX_INSTRUCTIONS = 20000
"""In one step; more means a loop that touches nothing shared."""

DONE, VIOLATED, DEADLOCK, END_FAILED, FULL, PAUSED, BAD_RANGE, LOOPING = 0, 1, 2, 3, 4, 5, 6, 7
"""Why explore() returned."""
(
    CTL_STATES,
    CTL_NEXT,
    CTL_LIMIT,
    CTL_PAUSE,
    CTL_TRANSITIONS,
    CTL_STATE,
    CTL_ACTOR,
    CTL_CHOICE,
    CTL_DETAIL,
    CTL_TERMINAL,
    CTL_LEVEL,
    CTL_BEGIN,
    CTL_VERDICT,
) = range(13)
CTL_SIZE = 13
PENDING = 32
"""States that wait for their place in the table."""
SEGMENTS = 16
"""Of the table: a search for a place does not leave its segment, so that threads can fill different ones."""
ONWARD, IN_PART = 1, 2
"""Notes of a state: it is an end or a step leads beyond its level; not every actor's steps were taken."""
LIVE, READS, WRITES, LATER_READS, LATER_WRITES = range(5)
"""The masks of a place, in the order of masks.Masks."""


@njit(cache=True, nogil=True)
def prepare(image: Any, registers: Any) -> None:
    """Load the constant registers."""
    base = image[CONSTANTS]
    for i in range(image[N_CONSTANTS]):
        registers[image[base + 2 * i]] = image[base + 2 * i + 1]


@njit(cache=True, nogil=True)
def _read(image: Any, state: Any, slot: Any) -> Any:
    """The raw value of the slot whose row is at `slot` of the image."""
    mask = (uint64(1) << uint64(image[slot + uint64(2)])) - uint64(1)
    return (state[uint64(image[slot])] >> uint64(image[slot + uint64(1)])) & mask


@njit(cache=True, nogil=True)
def step(image: Any, state: Any, registers: Any, out: Any, cover: Any, actor: int, choice: int) -> int:
    """Take one step of `actor` in `state`, in place, resolving its choose() as `choice`.

    Actor -1 runs what is asked at the end.

    Indices are unsigned throughout: Numba then leaves out the test for Python's negative ones.
    """
    code = uint64(image[CODE])
    out[OUT_CHOICES] = 1
    out[OUT_EVENTS] = 0
    row = uint64(image[ACTORS] + actor * ACTOR)
    if actor >= 0:
        counter = _read(image, state, row)
        resume = uint64(image[YIELDS] + (image[row + uint64(3)] + np.int64(counter)) * YIELD)
        at = image[resume]
        save = uint64(image[SAVES] + image[resume + uint64(1)] * SAVE)
        for _ in range(image[resume + uint64(2)]):
            registers[uint64(image[save])] = np.int64(_read(image, state, save + uint64(1))) + image[save + uint64(4)]
            save += uint64(SAVE)
        if counter != uint64(1):
            out[OUT_EVENTS] = 1
    else:
        at = image[AT_END]
    pc = code + uint64(at * INSTR)
    budget = MAX_INSTRUCTIONS
    while True:
        budget -= 1
        if budget == 0:
            return ENDLESS
        op = image[pc]
        first = image[pc + uint64(1)]
        a = uint64(first)
        b = uint64(image[pc + uint64(2)])
        c = uint64(image[pc + uint64(3)])
        pc += uint64(INSTR)
        if op == 6:  # LOAD
            mask = (uint64(1) << uint64(image[pc - uint64(2)])) - uint64(1)
            registers[a] = np.int64((state[b] >> c) & mask) + image[pc - uint64(1)]
        elif op == 7:  # STORE
            bits = image[pc - uint64(2)]
            value = registers[a] - image[pc - uint64(1)]
            if value < 0 or value >> bits != 0:
                out[OUT_DETAIL] = np.int64(pc) - INSTR
                return RANGE
            mask = ((uint64(1) << uint64(bits)) - uint64(1)) << c
            state[b] = (state[b] & ~mask) | (uint64(value) << c)
        elif op == 8:  # LOADX
            slot = uint64(image[VARIABLES] + (np.int64(b) + registers[c] - 1) * SLOT)
            registers[a] = np.int64(_read(image, state, slot)) + image[slot + uint64(3)]
        elif op == 9:  # STOREX
            slot = uint64(image[VARIABLES] + (first + registers[b] - 1) * SLOT)
            bits = image[slot + uint64(2)]
            value = registers[c] - image[slot + uint64(3)]
            if value < 0 or value >> bits != 0:
                out[OUT_DETAIL] = np.int64(pc) - INSTR
                return RANGE
            shift = uint64(image[slot + uint64(1)])
            mask = ((uint64(1) << uint64(bits)) - uint64(1)) << shift
            word = uint64(image[slot])
            state[word] = (state[word] & ~mask) | (uint64(value) << shift)
        elif op == 4:  # JNZ
            if registers[a] != 0:
                pc = code + b * uint64(INSTR)
        elif op == 3:  # JZ
            if registers[a] == 0:
                pc = code + b * uint64(INSTR)
        elif op == 2:  # JUMP
            pc = code + a * uint64(INSTR)
        elif op == 1:  # EVENT
            if first < 0:
                out[OUT_EVENTS] += 1
                continue
            _clear(image, state, row)
            state[uint64(image[row])] |= a << uint64(image[row + uint64(1)])
            resume = uint64(image[YIELDS] + (image[row + uint64(3)] + first) * YIELD)
            save = uint64(image[SAVES] + image[resume + uint64(1)] * SAVE)
            for _ in range(image[resume + uint64(2)]):
                value = registers[uint64(image[save])] - image[save + uint64(4)]
                if value < 0 or value >> image[save + uint64(3)] != 0:
                    out[OUT_DETAIL] = np.int64(pc) - INSTR
                    return RANGE
                state[uint64(image[save + uint64(1)])] |= uint64(value) << uint64(image[save + uint64(2)])
                save += uint64(SAVE)
            return STEPPED
        elif op == 5:  # MOVE
            registers[a] = registers[b]
        elif op == 10:  # TABLE
            registers[a] = image[uint64(image[TABLES]) + b + uint64(registers[c])]
        elif op == 21:
            registers[a] = registers[b] == registers[c]
        elif op == 22:
            registers[a] = registers[b] != registers[c]
        elif op == 23:
            registers[a] = registers[b] < registers[c]
        elif op == 24:
            registers[a] = registers[b] <= registers[c]
        elif op == 11:
            registers[a] = registers[b] + registers[c]
        elif op == 12:
            registers[a] = registers[b] - registers[c]
        elif op == 13:
            registers[a] = registers[b] * registers[c]
        elif op == 14:
            registers[a] = registers[b] // registers[c]
        elif op == 15:
            registers[a] = registers[b] % registers[c]
        elif op == 16:
            registers[a] = registers[b] & registers[c]
        elif op == 17:
            registers[a] = registers[b] | registers[c]
        elif op == 18:
            registers[a] = registers[b] ^ registers[c]
        elif op == 19:
            registers[a] = registers[b] << registers[c]
        elif op == 20:
            registers[a] = registers[b] >> registers[c]
        elif op == 25:
            registers[a] = registers[b] == 0
        elif op == 26:
            registers[a] = -registers[b]
        elif op == 27:
            registers[a] = ~registers[b]
        elif op == 28:  # BLOCK
            if registers[a] == 0:
                return BLOCKED
        elif op == 29:  # CHOOSE
            out[OUT_CHOICES] = np.int64(b)
            registers[a] = choice
        elif op == 30:  # FAIL
            out[OUT_DETAIL] = first
            return FAILED
        elif op == 31:  # ACQUIRE
            cover[a] = 1
        elif op == 33:  # ALIKE
            if registers[a] != 0:
                return ALIKE
        else:  # HALT
            if actor >= 0:
                _clear(image, state, row)
            return STEPPED


@njit(cache=True, nogil=True)
def _clear(image: Any, state: Any, row: Any) -> None:
    """Zero an actor's counter and saved registers."""
    mask = ((uint64(1) << uint64(image[row + uint64(2)])) - uint64(1)) << uint64(image[row + uint64(1)])
    state[uint64(image[row])] &= ~mask
    bit = uint64(image[row + uint64(4)])
    end = uint64(image[row + uint64(5)])
    while bit < end:
        shift = bit & uint64(63)
        take = min(uint64(64) - shift, end - bit)
        if take == uint64(64):
            state[bit >> uint64(6)] = uint64(0)
        else:
            state[bit >> uint64(6)] &= ~(((uint64(1) << take) - uint64(1)) << shift)
        bit += take


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask the processor to bring array[index] near. Changes nothing but time."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


@njit(cache=True, nogil=True)
def hash_of(state: Any, words: int) -> Any:
    """64 bits that stand for a state: the low ones for its place in the table, the high ones to tell it apart."""
    h = uint64(0x9E3779B97F4A7C15)
    for i in range(uint64(words)):
        h = (h ^ state[i]) * uint64(0xFF51AFD7ED558CCD)
        h ^= h >> uint64(32)
    return h


@njit(cache=True, nogil=True, inline="always")
def expect(states: Any, table: Any, mask: Any, h: Any, words: Any) -> None:
    """Ask for the state that a hash will most likely be compared with, now that its place in the table is near."""
    entry = table[h & mask]
    if entry != uint64(0) and (entry ^ h) >> uint64(32) == uint64(0):
        row = ((entry & uint64(0x7FFFFFFF)) - uint64(1)) * uint64(words)
        prefetch(states, row)  # type: ignore[call-arg]
        prefetch(states, row + uint64(words) - uint64(1))


@njit(cache=True, nogil=True)
def after_place(at: Any, mask: Any) -> Any:
    """The place of the table that is tried after `at`."""
    segment = mask // uint64(SEGMENTS)
    return (at & ~segment) | ((at + uint64(1)) & segment)


@njit(cache=True, nogil=True)
def _find(states: Any, table: Any, mask: Any, state: Any, h: Any, words: int) -> Any:
    """Where `state` is, or would be, in the table: (place in the table, number + 1 or 0)."""
    tag = h & uint64(0xFFFFFFFF00000000)
    at = h & mask
    while True:
        entry = table[at]
        if entry == uint64(0):
            return at, uint64(0)
        if (entry & uint64(0xFFFFFFFF00000000)) == tag:
            other = (entry & uint64(0xFFFFFFFF)) - uint64(1)
            same = True
            for i in range(uint64(words)):
                if states[other, i] != state[i]:
                    same = False
                    break
            if same:
                return at, other + uint64(1)
        at = after_place(at, mask)


@njit(cache=True, nogil=True)
def insert(states: Any, table: Any, mask: int, count: int, words: int) -> bool:
    """Enter states[count] in the table unless it is there. The table holds number + 1 and 32 bits of the hash."""
    h = hash_of(states[count], words)
    at, known = _find(states, table, uint64(mask), states[count], h, words)
    if known:
        return False
    table[at] = (h & uint64(0xFFFFFFFF00000000)) | uint64(count + 1)
    return True


@njit(cache=True, nogil=True)
def find(states: Any, table: Any, mask: int, state: Any, words: int) -> int:
    """The number of a visited state, or -1."""
    _, known = _find(states, table, uint64(mask), state, hash_of(state, words), words)
    return int(known) - 1


@njit(cache=True, nogil=True, inline="always")
def _settle(table: Any, mask: Any, h: Any, number: Any) -> None:
    """Enter a state that is known to be new."""
    at = h & mask
    while table[at] != uint64(0):
        at = after_place(at, mask)
    table[at] = (h & uint64(0xFFFFFFFF00000000)) | (uint64(number) + uint64(1))


@njit(cache=True, nogil=True)
def rehash(states: Any, table: Any, mask: int, count: int, words: int, part: int, parts: int) -> None:
    """Fill the segments of one of the parts of an empty table with those of the first `count` states that go there."""
    umask = uint64(mask)
    segment = (umask + uint64(1)) // uint64(SEGMENTS)
    hashes = np.empty(PENDING, dtype=np.uint64)  # while the processor fetches their places
    numbers = np.empty(PENDING, dtype=np.uint64)
    asked = 0
    for number in range(uint64(count)):
        h = hash_of(states[number], words)
        if ((h & umask) // segment) % uint64(parts) != uint64(part):
            continue
        slot = uint64(asked % PENDING)
        if asked >= PENDING:
            _settle(table, umask, hashes[slot], numbers[slot])
        hashes[slot] = h
        numbers[slot] = number
        prefetch(table, h & umask)  # type: ignore[call-arg]
        asked += 1
    for i in range(min(asked, PENDING)):
        _settle(table, umask, hashes[uint64(i)], numbers[uint64(i)])


@njit(cache=True, nogil=True)
def counter_of(image: Any, state: Any, actor: int) -> int:
    """An actor's program counter: 0 at its end, 1 at its start."""
    return int(_read(image, state, uint64(image[ACTORS] + actor * ACTOR)))


@njit(cache=True, nogil=True)
def may_run(image: Any, state: Any, actor: int) -> bool:
    """False for an actor that has ended, or whose CPU is busy with an interrupt."""
    if counter_of(image, state, actor) == 0:
        return False
    interrupter = image[image[ACTORS] + actor * ACTOR + 6]
    if interrupter < 0:
        return True
    counter = counter_of(image, state, interrupter)
    return counter == 0 or counter == image[image[ACTORS] + interrupter * ACTOR + 7]


@njit(cache=True, nogil=True, inline="always")
def _masks_at(image: Any, state: Any, actor: int, words: Any) -> Any:
    """Where in the image the masks are of the place at which an actor stands."""
    row = uint64(image[ACTORS] + actor * ACTOR)
    place = uint64(image[row + uint64(3)]) + _read(image, state, row)
    return uint64(image[MASKS]) + place * uint64(N_MASKS) * words


@njit(cache=True, nogil=True, inline="always")
def clear_dead(image: Any, state: Any) -> None:
    """Zero the variables that nobody reads again before they are overwritten: states that differ in these are one."""
    if image[MASKS] == 0:
        return
    words = uint64(image[WORDS])
    for word in range(words):
        live = uint64(0)
        for actor in range(image[N_ACTORS]):
            live |= uint64(image[_masks_at(image, state, actor, words) + word])
        state[word] &= live


@njit(cache=True, nogil=True)
def persistent(image: Any, state: Any) -> int:
    """A set of actors, as bits, that suffices to be expanded: the smallest of those that grow from one actor each.

    Nothing that the others may ever do touches what the next steps of these touch, or wait for.
    """
    words = uint64(image[WORDS])
    running = 0
    for actor in range(image[N_ACTORS]):
        if counter_of(image, state, actor) != 0:
            running |= 1 << actor
    best, fewest = running, image[N_ACTORS]
    for seed in range(image[N_ACTORS]):
        if not running >> seed & 1:
            continue
        chosen = 1 << seed
        todo = chosen
        size = 1
        while todo != 0 and size < fewest:
            actor = 0
            while not todo >> actor & 1:
                actor += 1
            todo &= todo - 1
            own = _masks_at(image, state, actor, words)
            for other in range(image[N_ACTORS]):
                if not (running & ~chosen) >> other & 1:
                    continue
                at = _masks_at(image, state, other, words)
                conflict = uint64(0)
                for word in range(words):
                    later_writes = uint64(image[at + uint64(LATER_WRITES) * words + word])
                    conflict |= uint64(image[own + uint64(READS) * words + word]) & later_writes
                    conflict |= uint64(image[own + uint64(WRITES) * words + word]) & (
                        later_writes | uint64(image[at + uint64(LATER_READS) * words + word])
                    )
                if conflict != 0:
                    chosen |= 1 << other
                    todo |= 1 << other
                    size += 1
        if size < fewest:
            best, fewest = chosen, size
            if size == 1:
                break
    return best


@njit(cache=True, nogil=True)
def _flush(
    states: Any,
    parents: Any,
    onward: Any,
    table: Any,
    mask: Any,
    pending: Any,
    hashes: Any,
    origins: Any,
    waiting: int,
    count: int,
    level: int,
) -> int:
    """Enter the pending states that are new, note whose steps lead beyond `level`. Returns the number of states."""
    words = pending.shape[1]
    for i in range(uint64(waiting)):
        expect(states, table, mask, hashes[i], words)
    for i in range(uint64(waiting)):
        at, known = _find(states, table, mask, pending[i], hashes[i], words)
        if not known:
            for k in range(uint64(words)):
                states[count, k] = pending[i, k]
            parents[count] = origins[i]
            count += 1
            table[at] = (hashes[i] & uint64(0xFFFFFFFF00000000)) | uint64(count)
            onward[origins[i]] |= ONWARD
        elif known > uint64(level):
            onward[origins[i]] |= ONWARD
    return count


@njit(cache=True, nogil=True, inline="always")
def successors(
    image: Any,
    states: Any,
    parents: Any,
    onward: Any,
    table: Any,
    mask: Any,
    pending: Any,
    hashes: Any,
    origins: Any,
    waiting: int,
    number: int,
    whole: bool,
    registers: Any,
    out: Any,
    cover: Any,
    ctl: Any,
) -> int:
    """Put the states that steps from `number` lead to behind the `waiting` ones in `pending`; flush it when full.

    Unless the `whole` is wanted, the steps of a persistent set of actors will do, where there is one with a step.
    What was found goes to ctl[CTL_VERDICT]. Returns how many states wait.
    """
    words = uint64(image[WORDS])
    size = pending.shape[0]
    taken = 0
    finished = True
    state = states[uint64(number)]
    everybody = (1 << image[N_ACTORS]) - 1
    chosen = everybody if whole or image[MASKS] == 0 else persistent(image, state)
    rest = everybody & ~chosen
    while True:
        for actor in range(image[N_ACTORS]):
            if not chosen >> actor & 1:
                continue
            if counter_of(image, state, actor) != 0:
                finished = False
            if not may_run(image, state, actor):
                continue
            choice = 0
            choices = 1
            while choice < choices:
                if waiting == size:
                    ctl[CTL_STATES] = _flush(
                        states, parents, onward, table, mask, pending, hashes, origins, waiting,
                        ctl[CTL_STATES], ctl[CTL_LEVEL],
                    )  # fmt: skip
                    waiting = 0
                after = pending[uint64(waiting)]
                for i in range(words):
                    after[i] = state[i]
                result = step(image, after, registers, out, cover, actor, choice)
                if result == BLOCKED:
                    break
                choices = out[OUT_CHOICES]
                if result == ALIKE:
                    choice += 1
                    continue
                taken += 1
                if result != STEPPED:
                    ctl[CTL_VERDICT] = VIOLATED if result == FAILED else (BAD_RANGE if result == RANGE else LOOPING)
                    ctl[CTL_STATE] = number
                    ctl[CTL_ACTOR] = actor
                    ctl[CTL_CHOICE] = choice
                    ctl[CTL_DETAIL] = out[OUT_DETAIL]
                    ctl[CTL_TRANSITIONS] += taken
                    return waiting
                clear_dead(image, after)
                h = hash_of(after, words)
                prefetch(table, h & mask)  # type: ignore[call-arg]
                hashes[uint64(waiting)] = h
                origins[uint64(waiting)] = number
                waiting += 1
                choice += 1
        if rest == 0:
            break
        if taken != 0:
            onward[number] |= IN_PART
            break
        chosen, rest = rest, 0
    ctl[CTL_TRANSITIONS] += taken
    if taken == 0:
        ctl[CTL_STATE] = number
        ctl[CTL_ACTOR] = -1
        if not finished:
            ctl[CTL_VERDICT] = DEADLOCK
            return waiting
        ctl[CTL_TERMINAL] += 1
        onward[number] |= ONWARD
        if image[AT_END] >= 0:
            after = state.copy()
            result = step(image, after, registers, out, cover, -1, 0)
            if result != STEPPED:
                ctl[CTL_VERDICT] = END_FAILED if result == FAILED else BAD_RANGE
                ctl[CTL_DETAIL] = out[OUT_DETAIL]
    return waiting


@njit(cache=True, nogil=True)
def explore(
    image: Any,
    states: Any,
    parents: Any,
    onward: Any,
    table: Any,
    mask: int,
    registers: Any,
    out: Any,
    cover: Any,
    ctl: Any,
) -> int:
    """Search breadth first from ctl[CTL_NEXT] on, until done, something is found, or a limit in `ctl` is reached.

    New states wait in a small buffer while the processor fetches their places in the table. A state is marked in
    `onward` when it is an end, or when one of its steps leads to a level of the search beyond its own. When a level is
    done, those that were expanded in part and are not marked are expanded as a whole: else a loop could put off for
    ever what the rest of the actors do.
    """
    words = image[WORDS]
    umask = uint64(mask)
    number = ctl[CTL_NEXT]
    pending = np.empty((PENDING, words), dtype=np.uint64)
    hashes = np.empty(PENDING, dtype=np.uint64)
    origins = np.empty(PENDING, dtype=np.int32)
    waiting = 0
    ctl[CTL_VERDICT] = DONE
    while True:
        if number == ctl[CTL_LEVEL]:
            ctl[CTL_STATES] = _flush(
                states, parents, onward, table, umask, pending, hashes, origins, waiting,
                ctl[CTL_STATES], ctl[CTL_LEVEL],
            )  # fmt: skip
            waiting = 0
        if ctl[CTL_STATES] + 2 * PENDING > ctl[CTL_LIMIT]:
            ctl[CTL_VERDICT] = FULL
            break
        at = number
        if number == ctl[CTL_LEVEL]:
            at = ctl[CTL_BEGIN]
            while at < number and onward[at] & (ONWARD | IN_PART) != IN_PART:
                at += 1
            ctl[CTL_BEGIN] = at
            if at == number:
                ctl[CTL_LEVEL] = ctl[CTL_STATES]
                if number == ctl[CTL_STATES]:
                    break
                continue
            onward[at] = 0
        elif number >= ctl[CTL_PAUSE]:
            ctl[CTL_VERDICT] = PAUSED
            break
        waiting = successors(
            image, states, parents, onward, table, umask, pending, hashes, origins, waiting, at, at != number,
            registers, out, cover, ctl,
        )  # fmt: skip
        if ctl[CTL_VERDICT] != DONE:
            break
        number += at == number
    if ctl[CTL_VERDICT] in (FULL, PAUSED):
        ctl[CTL_STATES] = _flush(
            states, parents, onward, table, umask, pending, hashes, origins, waiting, ctl[CTL_STATES], ctl[CTL_LEVEL]
        )
    ctl[CTL_NEXT] = number
    return int(ctl[CTL_VERDICT])
