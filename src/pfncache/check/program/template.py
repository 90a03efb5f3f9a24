# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of a code as rows of the image, before anything in them has a place. Systems share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfncache.check.code import DEST, FIRST, JUMP, NONE, OP, SECOND, SUBJECT, Code
from pfncache.check.ir import Column, Event, Failure, LockUse, SourceLine, Variable
from pfncache.check.ops import JUMPS, Op
from pfncache.check.program.dataflow import derived
from pfncache.check.program.image import ACCESS_WORD, INSTR, INSTR_A, INSTR_B, INSTR_OP, INSTR_POINT
from pfncache.check.program.locks import locks_held

Ints = NDArray[np.int64]
Acquisition = tuple[frozenset[str], LockUse, Event | None]
"""Lock classes held, the lock that is taken, and the event that the step begins at, going by the order of the code."""


class _Operands:
    """Operands of one kind: where they stand, and which of the distinct ones each is."""

    def __init__(self, rows: Ints, entries: Ints, numbers: Ints, things: Sequence[Any] | None = None) -> None:
        """Take the row and the entry of each operand, and its number, among `things` if these are given."""
        self._rows, self._entries = rows, entries
        distinct, first, which = np.unique(numbers, return_index=True, return_inverse=True)
        order = np.argsort(first)  # that of their first use
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        self._which = rank[which]
        ordered = distinct[order].tolist()
        self._distinct = ordered if things is None else [things[number] for number in ordered]

    def fill(self, rows: Ints, place: Callable[[Any], int | tuple[int, ...]]) -> None:
        """Put the number, or the numbers, that `place` returns for each operand where it stands.

        `place` is called once for each operand, in the order of their first use.
        """
        if not self._distinct:
            return
        places = np.array([place(operand) for operand in self._distinct], dtype=np.int64)
        places = places.reshape(len(self._distinct), -1)
        for n in range(places.shape[1]):
            rows[self._rows, self._entries + n] = places[self._which, n]


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

    def __init__(self, code: Code, left_out: frozenset[Op]) -> None:
        is_kept = ~np.isin(code.rows[:, OP], [int(op) for op in left_out])
        self.row_of = np.zeros(len(code.rows) + 1, dtype=np.int64)
        """By instruction: its row, or that of the next one."""
        self.row_of[1:] = np.cumsum(is_kept)
        kept = np.flatnonzero(is_kept)
        source = code.rows[kept].astype(np.int64)
        ops = source[:, OP]
        self._rows: Ints = np.zeros((len(kept), INSTR), dtype=np.int64)
        self._rows[:, INSTR_OP] = ops
        self._set_registers(source)
        things, has_dest = code.subjects.things, source[:, DEST] != NONE
        last = INSTR_A + np.sum(source[:, DEST : SECOND + 1] != NONE, axis=1)
        """Behind the registers."""

        def operands(entry: Ints | int, *which: Op) -> _Operands:
            rows = np.flatnonzero(np.isin(ops, [int(op) for op in which]))
            entries = entry[rows] if isinstance(entry, np.ndarray) else np.full(len(rows), entry)
            return _Operands(rows, entries, source[rows, SUBJECT], things)

        self._variables = operands(ACCESS_WORD, Op.LOAD, Op.STORE)
        behind_dest = np.where(has_dest, INSTR_B, INSTR_A)
        self._columns = operands(behind_dest, Op.LOADX, Op.STOREX)
        self._tables = operands(behind_dest, Op.TABLE)
        self._marks = operands(last, Op.REACH)
        jumps = np.flatnonzero(np.isin(ops, [int(op) for op in JUMPS]))
        self._labels = _Operands(jumps, last[jumps], kept[jumps] + source[jumps, JUMP])
        choices = np.flatnonzero(ops == Op.CHOOSE)
        self._rows[choices, last[choices]] = source[choices, SUBJECT]
        self._events = np.flatnonzero(ops == Op.EVENT)
        self._event_of = kept[self._events].tolist()
        self._failing = np.flatnonzero(ops == Op.FAIL)
        self._acquiring = np.flatnonzero(ops == Op.ACQUIRE)
        self.points: list[Event] = [code.event(i) for i in self._event_of]
        self.failures: list[Failure] = [code.failure(i) for i in kept[self._failing].tolist()]
        before = np.searchsorted(self._events, self._acquiring).tolist()
        classes = locks_held(code).classes
        self.acquisitions: list[Acquisition] = [
            (classes[i], code.subject(i), self.points[events - 1] if events else None)
            for i, events in zip(kept[self._acquiring].tolist(), before, strict=True)
        ]

    def _set_registers(self, source: Ints) -> None:
        """Find the registers of the instructions, and the entries that they stand at, one behind the other.

        A column or a table stands behind the register that is written, if there is one, and before those that are read.
        """
        registers = source[:, DEST : SECOND + 1]
        is_register = registers != NONE
        entries = INSTR_A - 1 + np.cumsum(is_register, axis=1)
        indexed = np.isin(source[:, OP], (Op.LOADX, Op.STOREX, Op.TABLE))
        entries[indexed, FIRST - DEST :] += 1
        rows, columns = np.nonzero(is_register)
        self._registers = _Operands(rows, entries[rows, columns], registers[rows, columns])

    def rows(self, places: ProgramPlaces) -> Ints:
        """Return the rows, with everything in its place."""
        rows = self._rows.copy()
        self._registers.fill(rows, places.register)
        self._columns.fill(rows, places.column)
        self._tables.fill(rows, places.table)
        self._marks.fill(rows, places.mark.__getitem__)
        self._labels.fill(rows, lambda index: places.first_row + int(self.row_of[index]))
        self._variables.fill(rows, places.slot)
        rows[self._events, INSTR_A] = [places.counter.get(i, -1) for i in self._event_of]
        rows[self._events, INSTR_POINT] = np.arange(len(self._events)) + places.first_point
        rows[self._failing, INSTR_A] = np.arange(len(self._failing)) + places.first_failure
        rows[self._acquiring, INSTR_A] = np.arange(len(self._acquiring)) + places.first_acquisition
        return rows


@derived
def template_of(code: Code, left_out: frozenset[Op]) -> Template:
    """Return the template of a code."""
    return Template(code, left_out)
