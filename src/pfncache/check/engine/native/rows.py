# SPDX-License-Identifier: GPL-2.0-only
"""The rows of a program's image in Python, for the emitter of native code."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pfncache.check.ops import BRANCHES, FINAL, OPERATIONS, Op, SubjectKind
from pfncache.check.program.image import (
    ACTOR,
    ACTOR_COUNTER,
    ACTOR_END_BIT,
    ACTOR_FIRST_BIT,
    ACTOR_FIRST_YIELD,
    ACTORS,
    CODE,
    CONSTANT,
    CONSTANT_REGISTER,
    CONSTANT_VALUE,
    CONSTANTS,
    COUNTER_FIRST_EVENT,
    INSTR,
    INSTR_A,
    INSTR_B,
    INSTR_OP,
    MASKS,
    N_ACTORS,
    N_CONSTANTS,
    SAVE,
    SAVE_REGISTER,
    SAVE_SLOT,
    SAVES,
    SLOT_BITS,
    SLOT_SHIFT,
    TABLES,
    VARIABLES,
    WORD,
    YIELD,
    YIELD_FIRST_SAVE,
    YIELD_INSTR,
    YIELD_SAVES,
    YIELDS,
)
from pfncache.check.program.packing import Slot

BESIDE_RESULT = (SubjectKind.COLUMN, SubjectKind.TABLE)
"""Operands that stand behind the register that is written, and before those that are read."""


class Resume(NamedTuple):
    """Where a step begins."""

    at: int
    """Index of the first instruction."""
    saves: tuple[tuple[int, Slot], ...]
    """The registers that are saved there, and where."""


def places_of(image: Any) -> int:
    """Return the number of rows of YIELDS."""
    return int(image[SAVES] - image[YIELDS]) // YIELD


class ProgramRows:
    """The tables of an image."""

    def __init__(self, image: NDArray[Any]) -> None:
        self._image: list[int] = image[: image[MASKS] or None].tolist()
        self.variables = self._image[VARIABLES]
        self.tables = self._image[TABLES]
        self.code = self._table(CODE, VARIABLES, INSTR)
        self._actors = [self._row(ACTORS, actor, ACTOR) for actor in range(self._image[N_ACTORS])]
        self.counters = [
            Slot(row[ACTOR_COUNTER], row[ACTOR_COUNTER + SLOT_SHIFT], row[ACTOR_COUNTER + SLOT_BITS], 0)
            for row in self._actors
        ]
        """By actor: the slot of its program counter."""
        self._registers: dict[int, tuple[frozenset[int], int | None]] = {}
        rows = (self._row(CONSTANTS, n, CONSTANT) for n in range(self._image[N_CONSTANTS]))
        self.constants = {row[CONSTANT_REGISTER]: row[CONSTANT_VALUE] for row in rows}

    def _row(self, table: int, number: int, size: int) -> list[int]:
        first = self._image[table] + number * size
        return self._image[first : first + size]

    def _table(self, table: int, end: int, size: int) -> list[list[int]]:
        count = (self._image[end] - self._image[table]) // size
        return [self._row(table, number, size) for number in range(count)]

    @property
    def places(self) -> list[range]:
        """By actor: the places at which it resumes after its start, which are rows of YIELDS."""
        first = [row[ACTOR_FIRST_YIELD] for row in self._actors]
        ends = [*first[1:], places_of(self._image)]
        return [range(begin + COUNTER_FIRST_EVENT, end) for begin, end in zip(first, ends, strict=True)]

    def first_place(self, actor: int) -> int:
        """Return the row of YIELDS for an actor's program counter 0."""
        return self._actors[actor][ACTOR_FIRST_YIELD]

    def actor_of(self, place: int) -> int:
        """Return the actor to which a place belongs."""
        return bisect.bisect_right([row[ACTOR_FIRST_YIELD] for row in self._actors], place) - 1

    def resume(self, place: int) -> Resume:
        """Return where the step from a place begins."""
        row = self._row(YIELDS, place, YIELD)
        first, count = row[YIELD_FIRST_SAVE], row[YIELD_SAVES]
        saves = (self._row(SAVES, number, SAVE) for number in range(first, first + count))
        return Resume(row[YIELD_INSTR], tuple((save[SAVE_REGISTER], Slot(*save[SAVE_SLOT:])) for save in saves))

    def next_place(self, actor: int, instr: Sequence[int]) -> int | None:
        """Return the place at which an instruction ends a step of an actor; None if it is no event that remains."""
        if instr[INSTR_OP] != Op.EVENT or instr[INSTR_A] < 0:
            return None
        return self.first_place(actor) + instr[INSTR_A]

    def successors(self, at: int) -> tuple[int, ...]:
        """Return the instructions of the same step that may follow one."""
        instr = self.code[at]
        op = instr[INSTR_OP]
        if op in FINAL or (op == Op.EVENT and instr[INSTR_A] >= 0):
            return ()
        if op == Op.JUMP:
            return (instr[INSTR_A],)
        return (at + 1, instr[INSTR_B]) if op in BRANCHES else (at + 1,)

    def registers(self, actor: int, at: int) -> tuple[frozenset[int], int | None]:
        """Return the registers, without constants, that an instruction of an actor reads, and the one it writes."""
        if at not in self._registers:
            self._registers[at] = self._registers_of(actor, at)
        return self._registers[at]

    def _registers_of(self, actor: int, at: int) -> tuple[frozenset[int], int | None]:
        instr = self.code[at]
        place = self.next_place(actor, instr)
        if place is not None:
            reads = frozenset(register for register, _ in self.resume(place).saves)
        else:
            entries, _ = _operands(instr[INSTR_OP])
            reads = frozenset(instr[entry] for entry in entries)
        _, writes = _operands(instr[INSTR_OP])
        return reads - self.constants.keys(), instr[INSTR_A] if writes else None

    def cleared(self, actor: int) -> dict[int, int]:
        """Return the bits of an actor's program counter and saved registers, by word of the state."""
        counter = self.counters[actor]
        row = self._actors[actor]
        bits = counter.mask | ((1 << row[ACTOR_END_BIT]) - (1 << row[ACTOR_FIRST_BIT]))
        words = ((number, bits >> number * WORD & (1 << WORD) - 1) for number in range(bits.bit_length() // WORD + 1))
        return {number: word for number, word in words if word}


@cache
def _operands(op: int) -> tuple[range, bool]:
    """Return the entries of the registers that an operation reads, and whether it writes INSTR_A."""
    operation = OPERATIONS[Op(op)]
    first = INSTR_A + operation.writes + (operation.subject in BESIDE_RESULT)
    return range(first, first + operation.reads), operation.writes
