# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of a code as rows of the image, before anything in them has a place. Systems share them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pfncache.check.ir import Code, Column, Event, Failure, Instr, LockUse, SourceLine, Variable
from pfncache.check.ops import JUMPS, Op
from pfncache.check.program.dataflow import locks_held
from pfncache.check.program.image import ACCESS_WORD, INSTR, INSTR_A, INSTR_B, INSTR_POINT

T = TypeVar("T", bound=Hashable)
Ints = NDArray[np.int64]
Acquisition = tuple[frozenset[str], LockUse, Event | None]
"""Lock classes held, the lock that is taken, and the event that the step begins at, going by the order of the code."""


class _Operands(Generic[T]):
    """Operands of one kind: where they stand, and which of the distinct ones each is."""

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}
        self._rows: list[int] = []
        self._entries: list[int] = []
        self._which: list[int] = []

    def add(self, row: int, entry: int, operand: T) -> None:
        """Add the operand at an entry of a row."""
        self._rows.append(row)
        self._entries.append(entry)
        self._which.append(self._numbers.setdefault(operand, len(self._numbers)))

    def fill(self, rows: Ints, place: Callable[[T], int | tuple[int, ...]]) -> None:
        """Put the number, or the numbers, that `place` returns for each operand where it stands.

        `place` is called once for each operand, in the order of their first use.
        """
        if not self._numbers:
            return
        places = np.array([place(operand) for operand in self._numbers], dtype=np.int64).reshape(len(self._numbers), -1)
        for n in range(places.shape[1]):
            rows[self._rows, np.array(self._entries) + n] = places[self._which, n]


@dataclass(frozen=True)
class ProgramPlaces:
    """Where a program has its parts."""

    register: Callable[[int], int]
    slot: Callable[[Variable], tuple[int, int, int, int]]
    column: Callable[[Column], int]
    table: Callable[[tuple[int, ...]], int]
    mark: Mapping[str | SourceLine, int]
    counter: Mapping[int, int]
    """By instruction index of a visible event."""
    first_row: int
    first_point: int
    first_failure: int
    first_acquisition: int


class Template:
    """The rows of a code, without the operations that are left out."""

    def __init__(self, code: Code, left_out: Collection[Op]) -> None:
        self.row_of = np.zeros(len(code.instrs) + 1, dtype=np.int64)
        """By instruction: its row, or that of the next one."""
        self.row_of[1:] = np.cumsum([instr.op not in left_out for instr in code.instrs])
        kept = [(i, instr) for i, instr in enumerate(code.instrs) if instr.op not in left_out]
        self._rows: Ints = np.zeros((len(kept), INSTR), dtype=np.int64)
        self._rows[:, 0] = [instr.op for _, instr in kept]
        self._registers = _Operands[int]()
        self._variables = _Operands[Variable]()
        self._columns = _Operands[Column]()
        self._tables = _Operands[tuple[int, ...]]()
        self._marks = _Operands[str | SourceLine]()
        self._labels = _Operands[int]()
        self._events: list[tuple[int, int]] = []
        """Instruction index, and row."""
        self._failing: list[int] = []
        self._acquiring: list[int] = []
        self.points: list[Event] = []
        self.failures: list[Failure] = []
        self.acquisitions: list[Acquisition] = []
        held = locks_held(code)
        for row, (i, instr) in enumerate(kept):
            if instr.op == Op.EVENT:
                self._events.append((i, row))
                self.points.append(instr.event)
            elif instr.op == Op.FAIL:
                self._failing.append(row)
                self.failures.append(instr.failure)
            elif instr.op == Op.ACQUIRE:
                self._acquiring.append(row)
                self.acquisitions.append((held[i][1], instr.lock, self.points[-1] if self.points else None))
            else:
                self._add(row, instr, code.labels)

    def _add(self, row: int, instr: Instr, labels: Mapping[int, int]) -> None:
        """Add the operands of an instruction with registers, or of a jump."""
        registers = [register.number for register in (instr.dest, *instr.reads) if register is not None]
        last = INSTR_A + len(registers)
        entries = list(range(INSTR_A, last))
        if instr.op in (Op.LOAD, Op.STORE):
            self._variables.add(row, ACCESS_WORD, instr.variable)
        elif instr.op in (Op.LOADX, Op.STOREX, Op.TABLE):  # behind the register that is written, if there is one
            entry = INSTR_A if instr.dest is None else INSTR_B
            entries = [other for other in range(INSTR_A, last + 1) if other != entry]
            if instr.op == Op.TABLE:
                self._tables.add(row, entry, instr.table)
            else:
                self._columns.add(row, entry, instr.column)
        elif instr.op in JUMPS:
            self._labels.add(row, last, labels[instr.label])
        elif instr.op == Op.REACH:
            self._marks.add(row, last, instr.target)
        elif instr.op == Op.CHOOSE:
            self._rows[row, last] = instr.outcomes
        for entry, register in zip(entries, registers, strict=True):
            self._registers.add(row, entry, register)

    def rows(self, places: ProgramPlaces) -> Ints:
        """Return the rows, with everything in its place."""
        rows = self._rows.copy()
        self._registers.fill(rows, places.register)
        self._columns.fill(rows, places.column)
        self._tables.fill(rows, places.table)
        self._marks.fill(rows, places.mark.__getitem__)
        self._labels.fill(rows, lambda index: places.first_row + int(self.row_of[index]))
        self._variables.fill(rows, places.slot)
        events = [row for _, row in self._events]
        rows[events, INSTR_A] = [places.counter.get(i, -1) for i, _ in self._events]
        rows[events, INSTR_POINT] = np.arange(len(events)) + places.first_point
        rows[self._failing, INSTR_A] = np.arange(len(self._failing)) + places.first_failure
        rows[self._acquiring, INSTR_A] = np.arange(len(self._acquiring)) + places.first_acquisition
        return rows


def template_of(code: Code, left_out: frozenset[Op]) -> Template:
    """Return the template of a code."""
    found: Template | None = code.templates.get(left_out)
    if found is None:
        found = code.templates[left_out] = Template(code, left_out)
    return found
