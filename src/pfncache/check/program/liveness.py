# SPDX-License-Identifier: GPL-2.0-only
"""The registers that are live at a place of step code.

A register lives a few instructions of thousands, so they are found one after the other, from where a register is used
back to where it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfncache.check.code import DEST, FIRST, NONE, SECOND, Code
from pfncache.check.engine.numba_cache import allocating_njit
from pfncache.check.ops import Op
from pfncache.check.program.dataflow import derived, edges
from pfncache.check.program.solver import Sets


@dataclass(frozen=True)
class Live:
    """The registers that are live before each instruction, in ascending order. Constants are not."""

    begins: NDArray[np.int32]
    """By instruction: where its part of `registers` begins; then the end of the last one."""
    registers: NDArray[np.int32]

    def __getitem__(self, instruction: int) -> list[int]:
        """Return the registers that are live before an instruction."""
        found: list[int] = self.registers[self.begins[instruction] : self.begins[instruction + 1]].tolist()
        return found


@derived
def live(code: Code) -> Live:
    """Return the registers that are live before each instruction."""
    is_constant = np.append(code.is_constant[:NONE], True)  # by register, and for NONE
    uses = code.rows[:, [FIRST, SECOND]]
    where, registers = _live(edges(code), np.where(is_constant[uses], NONE, uses), code.rows[:, DEST], code.registers)
    begins, order = _by_value(where[:, None], len(code.rows))
    return Live(begins, registers[order])


@derived
def live_registers(code: Code) -> dict[int, list[int]]:
    """Return the live registers at each event, by instruction index."""
    found = live(code)
    return {event: found[event] for event in code.where(Op.EVENT).tolist()}


@allocating_njit
def _live(
    follow: NDArray[Any], uses: NDArray[Any], defines: NDArray[Any], registers: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return pairs of an instruction and a register that is live before it, register by register, as two arrays.

    Takes the successors of each instruction, and the registers that it uses and defines.
    """
    before, predecessors = _by_value(follow, len(follow))
    first, using = _by_value(uses, registers)
    where, which = np.empty((2, 16 * len(follow) + 16), dtype=np.int32)
    seen = np.full(len(follow), -1, dtype=np.int32)
    """By instruction: the last register that was found to be live before it."""
    found = 0
    for register in range(registers):
        if found + len(follow) > len(where):
            where, which = np.append(where, where), np.append(which, which)
        todo = found
        for user in using[first[register] : first[register + 1]]:
            if seen[user] != register:
                seen[user] = register
                where[found] = user
                found += 1
        while todo < found:
            for previous in predecessors[before[where[todo]] : before[where[todo] + 1]]:
                if seen[previous] != register and defines[previous] != register:
                    seen[previous] = register
                    where[found] = previous
                    found += 1
            which[todo] = register
            todo += 1
    return where[:found], which[:found]


@allocating_njit
def _by_value(table: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where the rows of each value begin, and then the end of the last one; and the rows that have a value.

    Values are from 0 to count; others are none. A row that has a value twice is there twice.
    """
    begins = np.zeros(count + 1, dtype=np.int32)
    for row in range(len(table)):
        for column in range(table.shape[1]):
            if table[row, column] >= 0:
                begins[table[row, column] + 1] += 1
    for value in range(count):
        begins[value + 1] += begins[value]
    rows = np.empty(begins[count], dtype=np.int32)
    place = begins[:-1].copy()
    for row in range(len(table)):
        for column in range(table.shape[1]):
            value = table[row, column]
            if value >= 0:
                rows[place[value]] = row
                place[value] += 1
    return begins, rows


@allocating_njit
def add_values(live_begins: NDArray[Any], registers: NDArray[Any], first: NDArray[Any], sets: Sets) -> None:
    """Add the values of the registers that are live before each instruction to its set.

    The members of a register are those from `first` of it to that of the next one.
    """
    for row in range(len(live_begins) - 1):
        for n in range(live_begins[row], live_begins[row + 1]):
            for member in range(first[registers[n]], first[registers[n] + 1]):
                sets[row, member >> 6] |= np.uint64(1) << np.uint64(member & 63)
