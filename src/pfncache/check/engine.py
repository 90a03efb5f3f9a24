# SPDX-License-Identifier: GPL-2.0-only
"""The engine: executes step code, and searches breadth first with an exact set of visited states. Native through Numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64

from pfncache.check.link import (
    ACTOR,
    ACTORS,
    AT_END,
    CODE,
    CONSTANTS,
    INSTR,
    N_ACTORS,
    N_CONSTANTS,
    SAVE,
    SAVES,
    SLOT,
    TABLES,
    VARIABLES,
    WORDS,
    YIELD,
    YIELDS,
)

STEPPED, BLOCKED, FAILED, RANGE, ENDLESS = 0, 1, 2, 3, 4
"""What became of a step: taken, cannot be taken now, reached a failure, left the room of a value, does not end."""
OUT_CHOICES, OUT_EVENTS, OUT_DETAIL, OUT_SIZE = 0, 1, 2, 4
MAX_INSTRUCTIONS = 20000
"""In one step; more means a loop that touches nothing shared."""

DONE, VIOLATED, DEADLOCK, END_FAILED, FULL, PAUSED, BAD_RANGE, LOOPING = 0, 1, 2, 3, 4, 5, 6, 7
"""Why explore() returned."""
CTL_STATES, CTL_NEXT, CTL_LIMIT, CTL_PAUSE, CTL_TRANSITIONS, CTL_STATE, CTL_ACTOR, CTL_CHOICE, CTL_DETAIL, CTL_TERMINAL = range(10)
CTL_SIZE = 12


@njit(cache=True, nogil=True)
def prepare(image: Any, registers: Any) -> None:
    """Load the constant registers."""
    base = image[CONSTANTS]
    for i in range(image[N_CONSTANTS]):
        registers[image[base + 2 * i]] = image[base + 2 * i + 1]


@njit(cache=True, nogil=True)
def step(image: Any, state: Any, registers: Any, out: Any, cover: Any, actor: int, choice: int) -> int:
    """Take one step of `actor` in `state`, in place, resolving its choose() as `choice`. Actor -1 runs what is asked at the end."""
    code = image[CODE]
    out[OUT_CHOICES] = 1
    out[OUT_EVENTS] = 0
    row = image[ACTORS] + actor * ACTOR
    if actor >= 0:
        counter = (state[image[row]] >> uint64(image[row + 1])) & ((uint64(1) << uint64(image[row + 2])) - uint64(1))
        resume = image[YIELDS] + (image[row + 3] + np.int64(counter)) * YIELD
        at = image[resume]
        save = image[SAVES] + image[resume + 1] * SAVE
        for _ in range(image[resume + 2]):
            mask = (uint64(1) << uint64(image[save + 3])) - uint64(1)
            registers[image[save]] = np.int64((state[image[save + 1]] >> uint64(image[save + 2])) & mask) + image[save + 4]
            save += SAVE
        if counter != uint64(1):
            out[OUT_EVENTS] = 1
    else:
        at = image[AT_END]
    pc = code + at * INSTR
    budget = MAX_INSTRUCTIONS
    while True:
        budget -= 1
        if budget == 0:
            return ENDLESS
        op = image[pc]
        a = image[pc + 1]
        b = image[pc + 2]
        c = image[pc + 3]
        pc += INSTR
        if op == 6:  # LOAD
            mask = (uint64(1) << uint64(image[pc - 2])) - uint64(1)
            registers[a] = np.int64((state[b] >> uint64(c)) & mask) + image[pc - 1]
        elif op == 7:  # STORE
            bits = image[pc - 2]
            value = registers[a] - image[pc - 1]
            if value < 0 or value >> bits != 0:
                out[OUT_DETAIL] = pc - INSTR
                return RANGE
            mask = ((uint64(1) << uint64(bits)) - uint64(1)) << uint64(c)
            state[b] = (state[b] & ~mask) | (uint64(value) << uint64(c))
        elif op == 8:  # LOADX
            slot = image[VARIABLES] + (b + registers[c] - 1) * SLOT
            mask = (uint64(1) << uint64(image[slot + 2])) - uint64(1)
            registers[a] = np.int64((state[image[slot]] >> uint64(image[slot + 1])) & mask) + image[slot + 3]
        elif op == 9:  # STOREX
            slot = image[VARIABLES] + (a + registers[b] - 1) * SLOT
            bits = image[slot + 2]
            value = registers[c] - image[slot + 3]
            if value < 0 or value >> bits != 0:
                out[OUT_DETAIL] = pc - INSTR
                return RANGE
            shift = uint64(image[slot + 1])
            mask = ((uint64(1) << uint64(bits)) - uint64(1)) << shift
            word = image[slot]
            state[word] = (state[word] & ~mask) | (uint64(value) << shift)
        elif op == 4:  # JNZ
            if registers[a] != 0:
                pc = code + b * INSTR
        elif op == 3:  # JZ
            if registers[a] == 0:
                pc = code + b * INSTR
        elif op == 2:  # JUMP
            pc = code + a * INSTR
        elif op == 1:  # EVENT
            if a < 0:
                out[OUT_EVENTS] += 1
                continue
            _clear(image, state, row)
            state[image[row]] |= uint64(a) << uint64(image[row + 1])
            resume = image[YIELDS] + (image[row + 3] + a) * YIELD
            save = image[SAVES] + image[resume + 1] * SAVE
            for _ in range(image[resume + 2]):
                value = registers[image[save]] - image[save + 4]
                if value < 0 or value >> image[save + 3] != 0:
                    out[OUT_DETAIL] = pc - INSTR
                    return RANGE
                state[image[save + 1]] |= uint64(value) << uint64(image[save + 2])
                save += SAVE
            return STEPPED
        elif op == 5:  # MOVE
            registers[a] = registers[b]
        elif op == 10:  # TABLE
            registers[a] = image[image[TABLES] + b + registers[c]]
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
            out[OUT_CHOICES] = b
            registers[a] = choice
        elif op == 30:  # FAIL
            out[OUT_DETAIL] = a
            return FAILED
        elif op == 31:  # ACQUIRE
            cover[a] = 1
        else:  # HALT
            if actor >= 0:
                _clear(image, state, row)
            return STEPPED


@njit(cache=True, nogil=True)
def _clear(image: Any, state: Any, row: int) -> None:
    """Zero an actor's counter and saved registers."""
    mask = ((uint64(1) << uint64(image[row + 2])) - uint64(1)) << uint64(image[row + 1])
    state[image[row]] &= ~mask
    bit = image[row + 4]
    end = image[row + 5]
    while bit < end:
        shift = bit & 63
        take = min(64 - shift, end - bit)
        if take == 64:
            state[bit >> 6] = uint64(0)
        else:
            state[bit >> 6] &= ~(((uint64(1) << uint64(take)) - uint64(1)) << uint64(shift))
        bit += take


@njit(cache=True, nogil=True)
def _hash(state: Any, words: int) -> Any:
    h = uint64(0x9E3779B97F4A7C15)
    for i in range(words):
        h = (h ^ state[i]) * uint64(0xFF51AFD7ED558CCD)
        h ^= h >> uint64(32)
    return h


@njit(cache=True, nogil=True)
def insert(states: Any, table: Any, mask: int, count: int, words: int) -> int:
    """Look up states[count]; enter it when it is new. Returns its number. The table holds number + 1 and 32 bits of hash."""
    h = _hash(states[count], words)
    tag = h & uint64(0xFFFFFFFF00000000)
    at = np.int64(h & uint64(mask))
    while True:
        entry = table[at]
        if entry == uint64(0):
            table[at] = tag | uint64(count + 1)
            return count
        if (entry & uint64(0xFFFFFFFF00000000)) == tag:
            other = np.int64(entry & uint64(0xFFFFFFFF)) - 1
            same = True
            for i in range(words):
                if states[other, i] != states[count, i]:
                    same = False
                    break
            if same:
                return other
        at = (at + 1) & mask


@njit(cache=True, nogil=True)
def find(states: Any, table: Any, mask: int, state: Any, words: int) -> int:
    """The number of a visited state, or -1."""
    h = _hash(state, words)
    tag = h & uint64(0xFFFFFFFF00000000)
    at = np.int64(h & uint64(mask))
    while True:
        entry = table[at]
        if entry == uint64(0):
            return -1
        if (entry & uint64(0xFFFFFFFF00000000)) == tag:
            other = np.int64(entry & uint64(0xFFFFFFFF)) - 1
            same = True
            for i in range(words):
                if states[other, i] != state[i]:
                    same = False
                    break
            if same:
                return other
        at = (at + 1) & mask


@njit(cache=True, nogil=True)
def rehash(states: Any, table: Any, mask: int, count: int, words: int) -> None:
    """Fill an empty table with the first `count` states."""
    for number in range(count):
        h = _hash(states[number], words)
        at = np.int64(h & uint64(mask))
        while table[at] != uint64(0):
            at = (at + 1) & mask
        table[at] = (h & uint64(0xFFFFFFFF00000000)) | uint64(number + 1)


@njit(cache=True, nogil=True)
def _counter(image: Any, state: Any, actor: int) -> int:
    row = image[ACTORS] + actor * ACTOR
    return np.int64((state[image[row]] >> uint64(image[row + 1])) & ((uint64(1) << uint64(image[row + 2])) - uint64(1)))


@njit(cache=True, nogil=True)
def may_run(image: Any, state: Any, actor: int) -> bool:
    """False for an actor that has ended, or whose CPU is busy with an interrupt."""
    if _counter(image, state, actor) == 0:
        return False
    interrupter = image[image[ACTORS] + actor * ACTOR + 6]
    if interrupter < 0:
        return True
    counter = _counter(image, state, interrupter)
    return counter == 0 or counter == image[image[ACTORS] + interrupter * ACTOR + 7]


@njit(cache=True, nogil=True)
def explore(image: Any, states: Any, parents: Any, table: Any, mask: int, registers: Any, out: Any, cover: Any, ctl: Any) -> int:
    """Search breadth first from ctl[CTL_NEXT] on, until done, something is found, or a limit in `ctl` is reached."""
    words = image[WORDS]
    actors = image[N_ACTORS]
    count = ctl[CTL_STATES]
    number = ctl[CTL_NEXT]
    limit = ctl[CTL_LIMIT]
    pause = ctl[CTL_PAUSE]
    transitions = ctl[CTL_TRANSITIONS]
    verdict = DONE
    while number < count:
        if count + 64 > limit:
            verdict = FULL
            break
        if number >= pause:
            verdict = PAUSED
            break
        enabled = False
        finished = True
        for actor in range(actors):
            if _counter(image, states[number], actor) != 0:
                finished = False
            if not may_run(image, states[number], actor):
                continue
            choice = 0
            choices = 1
            while choice < choices:
                for i in range(words):
                    states[count, i] = states[number, i]
                result = step(image, states[count], registers, out, cover, actor, choice)
                if result == BLOCKED:
                    break
                choices = out[OUT_CHOICES]
                transitions += 1
                enabled = True
                if result != STEPPED:
                    verdict = VIOLATED if result == FAILED else (BAD_RANGE if result == RANGE else LOOPING)
                    ctl[CTL_STATE] = number
                    ctl[CTL_ACTOR] = actor
                    ctl[CTL_CHOICE] = choice
                    ctl[CTL_DETAIL] = out[OUT_DETAIL]
                    break
                if insert(states, table, mask, count, words) == count:
                    parents[count] = number
                    count += 1
                choice += 1
            if verdict != DONE:
                break
        if verdict != DONE:
            break
        if not enabled:
            ctl[CTL_STATE] = number
            ctl[CTL_ACTOR] = -1
            if not finished:
                verdict = DEADLOCK
                break
            ctl[CTL_TERMINAL] += 1
            if image[AT_END] >= 0:
                for i in range(words):
                    states[count, i] = states[number, i]
                result = step(image, states[count], registers, out, cover, -1, 0)
                if result != STEPPED:
                    verdict = END_FAILED if result == FAILED else BAD_RANGE
                    ctl[CTL_DETAIL] = out[OUT_DETAIL]
                    break
        number += 1
    ctl[CTL_STATES] = count
    ctl[CTL_NEXT] = number
    ctl[CTL_TRANSITIONS] = transitions
    return verdict


@njit(cache=True, nogil=True)
def mark_ends(
    image: Any, states: Any, table: Any, mask: int, registers: Any, out: Any, cover: Any, good: Any, scratch: Any, count: int
) -> int:
    """Mark, last to first, the states from which a marked state or an end is reached in one step. Returns how many are new."""
    words = image[WORDS]
    new = 0
    for number in range(count - 1, -1, -1):
        if good[number]:
            continue
        finished = True
        for actor in range(image[N_ACTORS]):
            if _counter(image, states[number], actor) != 0:
                finished = False
        if finished:
            good[number] = 1
            new += 1
            continue
        for actor in range(image[N_ACTORS]):
            if good[number] or not may_run(image, states[number], actor):
                continue
            choice = 0
            choices = 1
            while choice < choices:
                for i in range(words):
                    scratch[i] = states[number, i]
                if step(image, scratch, registers, out, cover, actor, choice) != STEPPED:
                    break
                choices = out[OUT_CHOICES]
                other = find(states, table, mask, scratch, words)
                if other >= 0 and good[other]:
                    good[number] = 1
                    new += 1
                    break
                choice += 1
    return new
