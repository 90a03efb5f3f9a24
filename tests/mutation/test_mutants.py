# SPDX-License-Identifier: GPL-2.0-only
"""Each fault of the base model is found by a scenario, or there is a reason why it is not."""

from __future__ import annotations

import random
from functools import cache

import pytest

from pfncache.scenarios import SCENARIOS
from tests.mutation.hunt import by_name, property_of, read_table
from tests.mutation.kinds.kind import Kind
from tests.mutation.reach import Reach, search_reach
from tests.mutation.survivors import SURVIVORS

KILLED = read_table()
"""By mutant: the scenario that fails, and how."""
SAMPLE = random.Random(1).sample(sorted(KILLED), 20)
"""Mutants of which each run of the slow tests looks whether they are killed; ``-m whole`` looks at the others."""


@cache
def reach_of(scenario: str) -> Reach:
    return search_reach(scenario)


def test_every_mutant_is_accounted_for() -> None:
    """`make mutation` looks for a scenario; a survivor needs a reason."""
    assert sorted([*KILLED, *SURVIVORS]) == sorted(by_name())
    assert all(len(survivor.reason) > 20 for survivor in SURVIVORS.values())


def test_each_kind_has_mutants() -> None:
    assert {mutant.kind for mutant in by_name().values()} == set(Kind) - {Kind.LOST_WRITE}


def test_scenarios_that_kill_exist() -> None:
    assert [scenario for scenario, _ in KILLED.values() if scenario not in SCENARIOS] == []


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow if name in SAMPLE else [pytest.mark.slow, pytest.mark.whole])
    for name in sorted(KILLED)
])  # fmt: skip
def test_mutant_is_killed(name: str) -> None:
    scenario, kind = KILLED[name]
    assert property_of(by_name()[name], reach_of(scenario)) == kind
