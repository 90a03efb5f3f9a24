# SPDX-License-Identifier: GPL-2.0-only
"""Each lock, retry test and order of two steps of the base model is needed: without it, a scenario fails."""

from __future__ import annotations

import json
from functools import cache

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.mutation.hunt import STATES, TABLE, property_of
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.survivors import SURVIVORS

KILLED: dict[str, list[str]] = json.loads(TABLE.read_text())
"""By mutant: the scenario that fails, and how."""
MUTANTS = {mutant.name: mutant for mutant in mutants()}


def test_every_mutant_is_accounted_for() -> None:
    """`python -m tests.mutation.hunt NAME` looks for a scenario; a survivor needs a reason."""
    assert sorted([*KILLED, *SURVIVORS]) == sorted(MUTANTS)
    assert all(len(reason) > 20 for reason in SURVIVORS.values())


@cache
def base(scenario: str) -> str | None:
    return run(Job(mainline_7_3, scenario, STATES)).property


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(KILLED) & set(MUTANTS)))
def test_mutant_is_killed(name: str) -> None:
    mutant: Mutant = MUTANTS[name]
    scenario, kind = KILLED[name]
    assert property_of(mutant, scenario) == kind
    assert base(scenario) != kind
