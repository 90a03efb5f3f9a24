# SPDX-License-Identifier: GPL-2.0-only
"""A design that puts a pfncache in the place of a path without one: invalidations find it in every world."""

from __future__ import annotations

import pytest

from pfncache.scenarios.space.names import point_named, scenario_of
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run
from tests.cases.case_57_nested_pfncache import nested_pfncache, nested_pfncache_waits


def waits_and_not(name: str) -> tuple[Outcome, Outcome]:
    scenario = scenario_of(point_named(name))
    waits, not_so = (run(Job(d, scenario, 1_000_000)) for d in (nested_pfncache_waits, nested_pfncache))
    return waits, not_so


@pytest.mark.parametrize(("operation", "states"), [("munmap", (602, 408)), ("migrate", (1987, 1383))])
def test_a_cache_is_invalidated_where_the_user_has_none_of_its_own(operation: str, states: tuple[int, int]) -> None:
    waits, not_so = waits_and_not(f"space/anon/vcpu-map+{operation}")
    assert (waits.verdict, not_so.verdict) == ("holds", "violated")
    assert {violation.property for violation in not_so.violations} == {"lost-update", "use-after-free"}
    assert (waits.states, not_so.states) == states


def test_l2_writes_memory_of_a_device() -> None:
    """It has no struct page that could be free."""
    waits, not_so = waits_and_not("space/pfnmap/vcpu-map+slot-log")
    assert (waits.verdict, waits.states) == (not_so.verdict, not_so.states) == ("holds", 513)
