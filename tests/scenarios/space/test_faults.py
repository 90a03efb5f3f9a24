# SPDX-License-Identifier: GPL-2.0-only
"""Faults that need more than one page at offset 0 are found by the covering array, which was not written for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pfncache.designs.catalogue import Patch, mainline_7_3, no_direct_map, rfc_v4_on_7_3
from pfncache.designs.design import Design
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.arrays import covering
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.mutation import plants

STATES = 400_000
SHARED = ("memslots=same-address", "memslots=overlapping")


def planted(plant: type[Patch]) -> Design:
    """Return mainline with a fault."""
    return (mainline_7_3 + [plant]).named("planted", "")


def with_shared_page(scenario: Scenario) -> bool:
    """Return whether two memslots of the scenario have one user page."""
    return any(one in scenario.name for one in SHARED)


FAULTS: list[tuple[str, Design, Design, Callable[[Scenario], bool], str]] = [
    (
        "the series takes another memslot of the same user address for the same page",
        rfc_v4_on_7_3, no_direct_map,
        lambda s: s.memory == "gmem-unmapped" and with_shared_page(s) and "elsewhere" in s.name, "stale-translation",
    ),
    (
        "the retry test comes too early",
        planted(plants.TestBeforeLock), mainline_7_3,
        lambda s: "/cache+" in s.name and "start=page-gone" in s.name, "stale-translation",
    ),
    (
        "the range is that of the first memslot",
        planted(plants.RangeOfFirstSlot), mainline_7_3,
        lambda s: "/guest+" in s.name and with_shared_page(s), "stale-spte",
    ),
    (
        "the range is that of the last memslot",
        planted(plants.RangeOfLastSlot), mainline_7_3,
        lambda s: "/guest+" in s.name and with_shared_page(s), "stale-spte",
    ),
    (
        "the offset of the memslot in its file is forgotten",
        planted(plants.IndexWithoutOffset), mainline_7_3,
        lambda s: "/guest+" in s.name and s.memory.startswith("gmem") and "binding=offset" in s.name, "stale-spte",
    ),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "design", "base", "may_show", "kind"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_the_array_finds(
    fault: str, design: Design, base: Design, may_show: Callable[[Scenario], bool], kind: str
) -> None:
    scenarios = [scenario for scenario in covering() if base.has(scenario.memory) and may_show(scenario)]
    found = (one for one in scenarios if kind in run(Job(design, one, STATES)).properties)
    shown = next(found, None)
    assert shown is not None, f"none of {len(scenarios)} scenarios"
    assert kind not in run(Job(base, shown, STATES)).properties
