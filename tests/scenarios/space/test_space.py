# SPDX-License-Identifier: GPL-2.0-only
"""Spaces that are narrowed and extended."""

from __future__ import annotations

from typing import Any

import pytest

from pfncache.check.system import Call
from pfncache.scenarios.operations import Operation
from pfncache.scenarios.space.arrays import covering
from pfncache.scenarios.space.dimension import Constraint, Value
from pfncache.scenarios.space.names import point_named
from pfncache.scenarios.space.space import Space
from pfncache.scenarios.space.user import User
from pfncache.scenarios.world import MemoryKind, World


def _flip(w: World) -> tuple[Call, ...]:
    return tuple(w.call("do_mprotect_pkey", w.mm, w.hva, writable) for writable in (False, True))


FLIP = Operation("flip", "the page becomes read-only, and writable again", frozenset({MemoryKind.ANON}), _flip)
TWICE = User("twice", "the clock, twice", use=lambda w: (w.call("run_clock_update", w.vcpu),) * 2)


def test_only_some_values_are_left() -> None:
    space = Space(only={"memory": ["memfd"], "pages": ["3", "2"]})
    assert space.by_name["memory"].names == ("memfd",)
    assert space.by_name["pages"].names == ("2", "3")
    assert {scenario.memory for scenario in covering(space)} == {"memfd"}
    assert all(
        "pages=" in scenario.name for scenario in covering(space)
    )  # as in the catalogue's space, where 1 is usual


def test_values_and_constraints_are_added() -> None:
    alone = Constraint(("user", "operation"), lambda user, op: user.name != "twice" or op.name == "flip", "for a test")
    space = Space(
        only={"user": ["clock"], "memory": ["anon"]}, more={"operation": [FLIP], "user": [TWICE]}, constraints=[alone]
    )
    names = [scenario.name for scenario in covering(space)]
    assert any(name.startswith("space/anon/clock+flip") for name in names)
    assert any(name.startswith("space/anon/twice+flip") for name in names)
    assert not any("twice+" in name and "+flip" not in name for name in names)
    point = point_named("space/anon/twice+flip/memslots=hole", space)
    assert point.hazard == "the clock, twice, while flip runs on anon memory"
    with pytest.raises(ValueError, match="no scenario has user=twice, operation=munmap: for a test"):
        point_named("space/anon/twice+munmap", space)
    with pytest.raises(ValueError, match="operation has no value 'flip'"):
        point_named("space/anon/clock+flip")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"only": {"weather": ["fine"]}}, "the space has no dimension 'weather'; it has memory, user, operation,"),
        ({"only": {"memory": ["tape"]}}, "memory has no value 'tape'; it has anon, memfd,"),
        ({"only": {"memory": []}}, "no value is left of memory"),
        ({"more": {"operation": [Value("x", "")]}}, r"values of operation are of Operation: Value\("),
        ({"more": {"user": [User("clock", "")]}}, "user has a value 'clock' already"),
        ({"more": {"user": [User("a+b", "")]}}, r"the name of a value has no / \+ , = or blank: 'a\+b'"),
        ({"constraints": [Constraint(("hour",), bool, "")]}, "a constraint names 'hour', which is no dimension"),
    ],
)  # fmt: skip
def test_what_is_no_space_is_refused(given: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match="^" + line):
        Space(**given)
