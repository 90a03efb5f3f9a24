# SPDX-License-Identifier: GPL-2.0-only
"""The interpreter of step code, native through Numba: takes one step of one actor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.numba_cache import njit, uint64
from pfncache.check.ops import Op
from pfncache.check.program.image import (
    ACCESS_BITS,
    ACCESS_LOW,
    ACTOR,
    ACTOR_END_BIT,
    ACTOR_FIRST_BIT,
    ACTOR_FIRST_YIELD,
    ACTOR_INTERRUPTER,
    ACTOR_START,
    ACTORS,
    AT_END,
    CODE,
    CONSTANT,
    CONSTANT_REGISTER,
    CONSTANT_VALUE,
    CONSTANTS,
    COUNTER_END,
    COUNTER_ENTRY,
    COUNTER_HALTED,
    INSTR,
    INSTR_A,
    INSTR_B,
    INSTR_C,
    INSTR_POINT,
    N_CONSTANTS,
    REGISTERS,
    SAVE,
    SAVE_REGISTER,
    SAVE_SLOT,
    SAVES,
    SLOT,
    SLOT_BITS,
    SLOT_LOW,
    SLOT_SHIFT,
    SLOT_WORD,
    TABLES,
    VARIABLES,
    WORD,
    WORDS,
    YIELD,
    YIELD_FIRST_SAVE,
    YIELD_INSTR,
    YIELD_SAVES,
    YIELDS,
)

STEPPED, BLOCKED, FAILED, RANGE, ENDLESS, SYMMETRIC, LONG, HALTED = range(8)
"""Result of step(): taken, disabled, property violated, value out of its bounds, does not end, symmetric to another,
longer than MAX_INSTRUCTIONS, and halted at the event OUT_STOP."""
OUT_CHOICES, OUT_EVENTS, OUT_DETAIL, OUT_POINT, OUT_STOP, OUT_SNAPSHOT = range(6)
"""Entries of `out`: outcomes of the step's choice, events that it passed, failure or instruction, the last event that
it passed. OUT_STOP is set by the caller: the event before which to halt, counted from 1; 0 for none. The rest is the
snapshot of _repeats(): the program counter, the registers, the state."""
MAX_INSTRUCTIONS = 1_000_000
"""Instructions of one step that are executed."""
WATCH_INSTRUCTIONS = 4096
"""Instructions of one step before it is watched for a repetition."""
NO_POINT = -1
"""OUT_POINT of a step that passed no event."""
NO_ACTOR = -1
"""Stands for an actor in step(): the check at the end."""
LAST_BIT, WORD_LOG2 = 63, 6
"""Of a word of a state: the number of its last bit, and the power of two of its bits."""


def new_out(image: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the array in which step() reports."""
    return np.zeros(OUT_SNAPSHOT + 2 + int(image[REGISTERS]) + int(image[WORDS]), dtype=np.int64)


@njit
def prepare(image: Any, registers: Any) -> None:
    """Load the constant registers."""
    for i in range(image[N_CONSTANTS]):
        row = image[CONSTANTS] + CONSTANT * i
        registers[image[row + CONSTANT_REGISTER]] = image[row + CONSTANT_VALUE]


@njit
def read(image: Any, state: Any, slot: Any) -> Any:
    """Return the raw value of the slot at offset `slot` of the image: the value without the slot's lowest one."""
    mask = (uint64(1) << uint64(image[slot + uint64(SLOT_BITS)])) - uint64(1)
    return (state[uint64(image[slot + uint64(SLOT_WORD)])] >> uint64(image[slot + uint64(SLOT_SHIFT)])) & mask


@njit
# One loop over all operations: a call for each would cost more than the operation, and so would a tuple of arrays.
def step(  # noqa: PLR0912, PLR0913, PLR0915
    image: Any, state: Any, registers: Any, out: Any, cover: Any, actor: int, choice: int
) -> int:
    """Take one step of `actor` in `state`, in place, resolving its nondeterministic choice as `choice`.

    NO_ACTOR takes the check at the end. Returns STEPPED or another of the results above; the state is of no use then.

    Indices are unsigned throughout: Numba then leaves out the test for Python's negative ones.
    """
    code = uint64(image[CODE])
    out[OUT_CHOICES] = 1
    out[OUT_EVENTS] = 0
    last = uint64(0)  # the last event passed; 0 is no instruction
    row = uint64(image[ACTORS] + actor * ACTOR)
    if actor != NO_ACTOR:
        counter = read(image, state, row)
        resume = uint64(image[YIELDS] + (image[row + uint64(ACTOR_FIRST_YIELD)] + np.int64(counter)) * YIELD)
        at = image[resume + uint64(YIELD_INSTR)]
        save = uint64(image[SAVES] + image[resume + uint64(YIELD_FIRST_SAVE)] * SAVE)
        for _ in range(image[resume + uint64(YIELD_SAVES)]):
            slot = save + uint64(SAVE_SLOT)
            value = np.int64(read(image, state, slot)) + image[slot + uint64(SLOT_LOW)]
            registers[uint64(image[save + uint64(SAVE_REGISTER)])] = value
            save += uint64(SAVE)
        pc = code + uint64(at * INSTR)
        if counter != uint64(COUNTER_ENTRY):
            out[OUT_EVENTS] = 1
            last = pc - uint64(INSTR)
    else:
        pc = code + uint64(image[AT_END] * INSTR)
    budget = WATCH_INSTRUCTIONS
    while True:
        budget -= 1
        if budget <= 0:
            repeats = _repeats(state, registers, out, pc, 1 - budget)
            if repeats or budget == WATCH_INSTRUCTIONS - MAX_INSTRUCTIONS:
                out[OUT_POINT] = _point(image, last)
                return ENDLESS if repeats else LONG
        instr = pc
        op = image[instr]
        first = image[instr + uint64(INSTR_A)]
        a = uint64(first)
        b = uint64(image[instr + uint64(INSTR_B)])
        c = uint64(image[instr + uint64(INSTR_C)])
        pc += uint64(INSTR)
        if op == Op.LOAD:
            word, shift = b, c
            mask = (uint64(1) << uint64(image[instr + uint64(ACCESS_BITS)])) - uint64(1)
            registers[a] = np.int64((state[word] >> shift) & mask) + image[instr + uint64(ACCESS_LOW)]
        elif op == Op.STORE:
            word, shift = b, c
            bits = image[instr + uint64(ACCESS_BITS)]
            raw = registers[a] - image[instr + uint64(ACCESS_LOW)]
            if raw < 0 or raw >> bits != 0:
                out[OUT_DETAIL] = np.int64(instr)
                return RANGE
            mask = ((uint64(1) << uint64(bits)) - uint64(1)) << shift
            state[word] = (state[word] & ~mask) | (uint64(raw) << shift)
        elif op == Op.LOADX:
            slot = uint64(image[VARIABLES] + (np.int64(b) + registers[c] - 1) * SLOT)
            registers[a] = np.int64(read(image, state, slot)) + image[slot + uint64(SLOT_LOW)]
        elif op == Op.STOREX:
            slot = uint64(image[VARIABLES] + (first + registers[b] - 1) * SLOT)
            bits = image[slot + uint64(SLOT_BITS)]
            raw = registers[c] - image[slot + uint64(SLOT_LOW)]
            if raw < 0 or raw >> bits != 0:
                out[OUT_DETAIL] = np.int64(instr)
                return RANGE
            shift = uint64(image[slot + uint64(SLOT_SHIFT)])
            mask = ((uint64(1) << uint64(bits)) - uint64(1)) << shift
            word = uint64(image[slot + uint64(SLOT_WORD)])
            state[word] = (state[word] & ~mask) | (uint64(raw) << shift)
        elif op == Op.JNZ:
            if registers[a] != 0:
                pc = code + b * uint64(INSTR)
        elif op == Op.JZ:
            if registers[a] == 0:
                pc = code + b * uint64(INSTR)
        elif op == Op.JUMP:
            pc = code + a * uint64(INSTR)
        elif op == Op.EVENT:
            if first < 0:
                out[OUT_EVENTS] += 1
                last = instr
                if out[OUT_EVENTS] == out[OUT_STOP]:
                    _clear(image, state, row)
                    state[uint64(image[row + uint64(SLOT_WORD)])] |= uint64(COUNTER_HALTED) << uint64(
                        image[row + uint64(SLOT_SHIFT)]
                    )
                    return HALTED
                continue
            _clear(image, state, row)
            state[uint64(image[row + uint64(SLOT_WORD)])] |= a << uint64(image[row + uint64(SLOT_SHIFT)])
            resume = uint64(image[YIELDS] + (image[row + uint64(ACTOR_FIRST_YIELD)] + first) * YIELD)
            save = uint64(image[SAVES] + image[resume + uint64(YIELD_FIRST_SAVE)] * SAVE)
            for _ in range(image[resume + uint64(YIELD_SAVES)]):
                slot = save + uint64(SAVE_SLOT)
                raw = registers[uint64(image[save + uint64(SAVE_REGISTER)])] - image[slot + uint64(SLOT_LOW)]
                if raw < 0 or raw >> image[slot + uint64(SLOT_BITS)] != 0:
                    out[OUT_DETAIL] = np.int64(instr)
                    return RANGE
                shift = uint64(image[slot + uint64(SLOT_SHIFT)])
                state[uint64(image[slot + uint64(SLOT_WORD)])] |= uint64(raw) << shift
                save += uint64(SAVE)
            return STEPPED
        elif op == Op.MOVE:
            registers[a] = registers[b]
        elif op == Op.TABLE:
            registers[a] = image[uint64(image[TABLES]) + b + uint64(registers[c])]
        elif op == Op.EQ:
            registers[a] = registers[b] == registers[c]
        elif op == Op.NE:
            registers[a] = registers[b] != registers[c]
        elif op == Op.LT:
            registers[a] = registers[b] < registers[c]
        elif op == Op.LE:
            registers[a] = registers[b] <= registers[c]
        elif op == Op.ADD:
            registers[a] = registers[b] + registers[c]
        elif op == Op.SUB:
            registers[a] = registers[b] - registers[c]
        elif op == Op.MUL:
            registers[a] = registers[b] * registers[c]
        elif op == Op.DIV:
            registers[a] = registers[b] // registers[c]
        elif op == Op.MOD:
            registers[a] = registers[b] % registers[c]
        elif op == Op.AND:
            registers[a] = registers[b] & registers[c]
        elif op == Op.OR:
            registers[a] = registers[b] | registers[c]
        elif op == Op.XOR:
            registers[a] = registers[b] ^ registers[c]
        elif op == Op.SHL:
            registers[a] = registers[b] << registers[c]
        elif op == Op.SHR:
            registers[a] = registers[b] >> registers[c]
        elif op == Op.NOT:
            registers[a] = registers[b] == 0
        elif op == Op.NEG:
            registers[a] = -registers[b]
        elif op == Op.INVERT:
            registers[a] = ~registers[b]
        elif op == Op.BLOCK:
            if registers[a] == 0:
                return BLOCKED
        elif op == Op.CHOOSE:
            out[OUT_CHOICES] = np.int64(b)
            registers[a] = choice
        elif op == Op.FAIL:
            out[OUT_DETAIL] = first
            out[OUT_POINT] = _point(image, last)
            return FAILED
        elif op == Op.ACQUIRE:
            cover[a] = 1
        elif op == Op.REACH:
            if registers[a] != 0:
                cover[b] = 1
        elif op == Op.SYMMETRIC:
            if registers[a] != 0:
                return SYMMETRIC
        else:  # Op.HALT
            if actor != NO_ACTOR:
                _clear(image, state, row)
            return STEPPED


@njit
def _point(image: Any, event: Any) -> Any:
    """Return the number of an event instruction in Program.points; NO_POINT for offset 0."""
    return image[event + uint64(INSTR_POINT)] if event != uint64(0) else NO_POINT


@njit
def _repeats(state: Any, registers: Any, out: Any, pc: Any, count: int) -> bool:
    """Return whether a step is where it was at an earlier instruction, with the same registers and state.

    Brent's algorithm: the step is compared with a snapshot, which is replaced when `count`, from 1, is a power of two.
    """
    first_word = OUT_SNAPSHOT + 1 + len(registers)
    if count & (count - 1) == 0:
        out[OUT_SNAPSHOT] = np.int64(pc)
        for i in range(len(registers)):
            out[OUT_SNAPSHOT + 1 + i] = registers[i]
        for i in range(len(state)):
            out[first_word + i] = np.int64(state[i])
        return False
    if out[OUT_SNAPSHOT] != np.int64(pc):
        return False
    for i in range(len(registers)):
        if out[OUT_SNAPSHOT + 1 + i] != registers[i]:
            return False
    same = True
    for i in range(len(state)):
        same &= out[first_word + i] == np.int64(state[i])
    return same


@njit
def _clear(image: Any, state: Any, row: Any) -> None:
    """Zero an actor's program counter and saved registers."""
    bits = uint64(image[row + uint64(SLOT_BITS)])
    mask = ((uint64(1) << bits) - uint64(1)) << uint64(image[row + uint64(SLOT_SHIFT)])
    state[uint64(image[row + uint64(SLOT_WORD)])] &= ~mask
    bit = uint64(image[row + uint64(ACTOR_FIRST_BIT)])
    end = uint64(image[row + uint64(ACTOR_END_BIT)])
    while bit < end:
        shift = bit & uint64(LAST_BIT)
        take = min(uint64(WORD) - shift, end - bit)
        if take == uint64(WORD):
            state[bit >> uint64(WORD_LOG2)] = uint64(0)
        else:
            state[bit >> uint64(WORD_LOG2)] &= ~(((uint64(1) << take) - uint64(1)) << shift)
        bit += take


@njit
def counter_of(image: Any, state: Any, actor: int) -> int:
    """Return an actor's program counter: COUNTER_END at its end, COUNTER_ENTRY at its entry."""
    return int(read(image, state, uint64(image[ACTORS] + actor * ACTOR)))


@njit
def may_run(image: Any, state: Any, actor: int) -> bool:
    """Return False for an actor that has ended or is halted, or whose CPU is busy with an interrupt."""
    if counter_of(image, state, actor) <= COUNTER_HALTED:
        return False
    interrupter = image[image[ACTORS] + actor * ACTOR + ACTOR_INTERRUPTER]
    if interrupter < 0:
        return True
    counter = counter_of(image, state, interrupter)
    return counter == COUNTER_END or counter == image[image[ACTORS] + interrupter * ACTOR + ACTOR_START]
