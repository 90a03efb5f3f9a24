# SPDX-License-Identifier: GPL-2.0-only
"""The interpreter of step code, native through Numba: takes one step of one actor."""

from __future__ import annotations

from typing import Any

import numpy as np

from pfncache.check.engine.numba_cache import njit, uint64
from pfncache.check.program.layout import (
    ACTOR,
    ACTORS,
    AT_END,
    CODE,
    CONSTANTS,
    INSTR,
    N_CONSTANTS,
    SAVE,
    SAVES,
    SLOT,
    TABLES,
    VARIABLES,
    YIELD,
    YIELDS,
)  # fmt: skip

STEPPED, BLOCKED, FAILED, RANGE, ENDLESS, ALIKE = 0, 1, 2, 3, 4, 5
"""What became of a step: taken, cannot be taken now, reached a failure, left the room of a value, does not end, is like
one with another outcome."""
OUT_CHOICES, OUT_EVENTS, OUT_DETAIL, OUT_SIZE = 0, 1, 2, 4
MAX_INSTRUCTIONS = 20000
"""In one step; more means a loop that touches nothing shared."""


@njit
def prepare(image: Any, registers: Any) -> None:
    """Load the constant registers."""
    base = image[CONSTANTS]
    for i in range(image[N_CONSTANTS]):
        registers[image[base + 2 * i]] = image[base + 2 * i + 1]


@njit
def read(image: Any, state: Any, slot: Any) -> Any:
    """The raw value of the slot whose row is at `slot` of the image."""
    mask = (uint64(1) << uint64(image[slot + uint64(2)])) - uint64(1)
    return (state[uint64(image[slot])] >> uint64(image[slot + uint64(1)])) & mask


@njit
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
        counter = read(image, state, row)
        resume = uint64(image[YIELDS] + (image[row + uint64(3)] + np.int64(counter)) * YIELD)
        at = image[resume]
        save = uint64(image[SAVES] + image[resume + uint64(1)] * SAVE)
        for _ in range(image[resume + uint64(2)]):
            registers[uint64(image[save])] = np.int64(read(image, state, save + uint64(1))) + image[save + uint64(4)]
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
            registers[a] = np.int64(read(image, state, slot)) + image[slot + uint64(3)]
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


@njit
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


@njit
def counter_of(image: Any, state: Any, actor: int) -> int:
    """An actor's program counter: 0 at its end, 1 at its start."""
    return int(read(image, state, uint64(image[ACTORS] + actor * ACTOR)))


@njit
def may_run(image: Any, state: Any, actor: int) -> bool:
    """False for an actor that has ended, or whose CPU is busy with an interrupt."""
    if counter_of(image, state, actor) == 0:
        return False
    interrupter = image[image[ACTORS] + actor * ACTOR + 6]
    if interrupter < 0:
        return True
    counter = counter_of(image, state, interrupter)
    return counter == 0 or counter == image[image[ACTORS] + interrupter * ACTOR + 7]
