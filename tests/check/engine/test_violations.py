# SPDX-License-Identifier: GPL-2.0-only
"""The table of violations: the first of each kind, and what has no room is counted."""

from __future__ import annotations

import numpy as np

from pfncache.check.compile.compiler import compile_system
from pfncache.check.engine import interpreter
from pfncache.check.engine.violations import (
    MAX_VIOLATIONS,
    Count,
    Met,
    Row,
    Taken,
    Violations,
    merge,
    new_violations,
    record,
)
from pfncache.check.engine.visited import Visited
from pfncache.check.program.layout import link
from pfncache.check.search import Search
from tests.check import toys


class Table:
    """A table, and what it needs to be filled."""

    def __init__(self, wanted: int = 0) -> None:
        self.program = link(compile_system(toys.system(toys.increment, toys.increment)))
        self.space = Visited(self.program.words, 1000).space
        self.out = interpreter.new_out(self.program.image)
        self.table = self.new(wanted)

    def new(self, wanted: int = 0) -> Violations:
        return new_violations(np.zeros(self.program.loops.shape, dtype=np.int32), self.program.words, wanted)

    def fail(self, failure: int, point: int, state: int, actor: int = 0) -> bool:
        self.out[interpreter.OUT_DETAIL], self.out[interpreter.OUT_POINT] = failure, point
        taken = Taken(state, actor, 0, interpreter.FAILED)
        return bool(record(self.space, self.program.image, self.table, self.out, taken))

    def rows(self) -> list[tuple[Met, int, int, int]]:
        rows = self.table.rows[: self.table.counts[Count.ROWS]].tolist()
        return [(Met(row[Row.MET]), row[Row.DETAIL], row[Row.POINT], row[Row.STATE]) for row in rows]


def test_the_first_of_each_kind_is_kept() -> None:
    """A failure's number and its place distinguish it; at the end, there is no place."""
    table = Table()
    for failure, point, state in ((1, 5, 0), (1, 5, 1), (1, 6, 2), (2, 5, 3), (1, 6, 4)):
        table.fail(failure, point, state)
    table.fail(1, 5, 5, interpreter.NO_ACTOR)
    table.fail(1, 6, 6, interpreter.NO_ACTOR)
    assert table.rows() == [
        (Met.FAILURE, 1, 5, 0),
        (Met.FAILURE, 1, 6, 2),
        (Met.FAILURE, 2, 5, 3),
        (Met.END_FAILURE, 1, 5, 5),
    ]


def test_what_has_no_room_is_counted() -> None:
    table = Table()
    for failure in range(MAX_VIOLATIONS + 2):
        table.fail(failure, 0, 0)
    table.fail(0, 0, 1)
    assert table.table.counts[Count.ROWS] == MAX_VIOLATIONS
    assert table.table.counts[Count.DROPPED] == 2


def test_a_search_ends_when_enough_is_found() -> None:
    table = Table(wanted=2)
    assert [table.fail(failure, 0, 0) for failure in (1, 1, 2)] == [False, False, True]


def test_merging_keeps_the_first() -> None:
    one, other = Table(), Table()
    one.fail(1, 0, 4)
    other.fail(1, 0, 5)
    other.fail(2, 0, 6)
    other.table.counts[Count.DROPPED] = 3
    assert not merge(one.space, one.program.image, one.table, other.table)
    assert one.rows() == [(Met.FAILURE, 1, 0, 4), (Met.FAILURE, 2, 0, 6)]
    assert one.table.counts[Count.DROPPED] == 3


def test_a_full_table_bounds_the_search() -> None:
    searching = Search(link(compile_system(toys.system(toys.increment))))
    searching.run()
    searching.violations.counts[Count.DROPPED] = 1
    assert searching._met() == ([], [f"the limit of {MAX_VIOLATIONS} kinds of violations"])
