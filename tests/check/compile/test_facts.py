# SPDX-License-Identifier: GPL-2.0-only
"""Facts of one system that do or do not hold in another one."""

from __future__ import annotations

from pfncache.check.compile.facts import RUNNING, SystemFacts
from pfncache.check.compile.numbering import Numbering
from pfncache.check.compile.queries import Queries, Query
from pfncache.check.ir import Variable
from tests.check.toys import Box, Cell, Thing, increment, system

COUNT: Query = (Queries.scalar, Variable(Box, 1, "count"))
OWNER: Query = (Queries.slab_owner, Thing, 1)
CELLS: Query = (Queries.size, Cell)
THIRD: Query = (Queries.scalar, Variable(Cell, 3, "value"))


def facts() -> tuple[SystemFacts, SystemFacts, SystemFacts]:
    """Those of two equal systems, and of one with another count, without records that are freed."""
    numbers, keys = Numbering[tuple[Query, object]](), Numbering[object]()
    systems = [system(increment) for _ in range(3)]
    box = systems[2].actors[0].calls[0].args[0]
    box.count = 1
    box.__dict__["things"] = ()
    first, second, third = (SystemFacts(Queries(one), numbers, keys) for one in systems)
    return first, second, third


def test_equal_systems_have_equal_facts() -> None:
    first, second, third = facts()
    mask = first.bit(COUNT) | first.bit(OWNER) | first.bit(CELLS)
    assert second.hold(mask)
    assert not third.hold(mask)
    assert third.hold(first.bit(CELLS))


def test_what_a_system_does_not_have() -> None:
    first, _, third = facts()
    assert not third.hold(first.bit(OWNER))
    assert first.hold(third.bit(THIRD))  # two cells in both


def test_who_runs() -> None:
    first, second, _ = facts()
    tasks = [one.queries.heap.pools for one in (first, second)]
    first.run_as(tasks[0][type(system(increment).actors[0].task)][0])
    running = first.bit(RUNNING)
    assert not second.hold(running)  # no task runs
    second.run_as(tasks[1][type(system(increment).actors[0].task)][0])
    assert second.hold(running)
    second.run_as(None)
    assert not second.hold(running)
