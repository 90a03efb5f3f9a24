# SPDX-License-Identifier: GPL-2.0-only
"""What is written, and what varies for it."""

from __future__ import annotations

from pfncache.check.compile.numbering import Numbering
from pfncache.check.compile.writes import Assumed, Writes, Written
from pfncache.check.ir import Column, Variable
from pfncache.check.system import Heap
from tests.check.toys import Cell, increment, system

FIRST, SECOND, COLUMN = Variable(Cell, 1, "value"), Variable(Cell, 2, "value"), Column(Cell, "value")


def assumed() -> tuple[Assumed, Numbering[Variable | Column]]:
    places: Numbering[Variable | Column] = Numbering()
    return Assumed(places, Heap.of(system(increment))), places


def test_a_variable_makes_its_column_vary() -> None:
    some, places = assumed()
    some.add(Writes(variables=places.bit(FIRST)))
    assert list(places.things(some.varying)) == [FIRST, COLUMN]
    assert some.written() == Written({FIRST})


def test_a_column_makes_all_of_its_variables_vary() -> None:
    some, places = assumed()
    some.add(Writes(columns=places.bit(COLUMN)))
    assert set(places.things(some.varying)) == {FIRST, SECOND, COLUMN}
    assert some.written() == Written(columns={COLUMN})
    assert some.written().stores(SECOND)


def test_a_mixed_column_is_not_written_by_number() -> None:
    some, places = assumed()
    some.add(Writes(variables=places.bit(FIRST)))
    before = some.copy()
    some.add(Writes(mixed=places.bit(COLUMN)))
    assert set(places.things(some.varying)) == {FIRST, SECOND, COLUMN}
    assert not some.written().stores(SECOND)
    assert some.written().varies(SECOND)
    assert before.written() == Written({FIRST})
