# SPDX-License-Identifier: GPL-2.0-only
"""Each proposed fix cures the scenarios that mainline violates, and breaks no other."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run, run_jobs

FIXES = {
    "caches-invalidated-on-release": ["xen/process-exit", "vm/destroy-timer"],
    "xen-timer-stopped": ["vm/destroy-timer"],
    "poll-outside-srcu": ["xen/poll-and-update"],
    "failed-folio-unlocked": [
        "gmem/failure-and-punch",
        "pairs/gmem-mmap/punch+memory-failure",
        "pairs/gmem-mmap/allocate+memory-failure",
    ],
    "kick-waits-for-exit": ["vmsa/punch-beside-kick", "vmsa/slot-delete", "vmsa/ap-creation"],
}
"""What each design cures."""
TOUCHED = ("xen/", "vm/", "vmsa/", "gmem/f", "gmem/close", "gmem/dying", "clock/gmem-mmap/memory-failure")
"""The scenarios in which a fix's functions run; the slow test searches all."""


def verdict(design: str, scenario: str) -> Outcome:
    return run(Job(DESIGNS[design], scenario, 2_000_000))


@pytest.mark.parametrize(("design", "scenario"), [(d, s) for d, cured in FIXES.items() for s in cured])
def test_cures(design: str, scenario: str) -> None:
    assert verdict("mainline-7.3", scenario).verdict == Verdict.VIOLATED
    assert verdict(design, scenario).verdict == Verdict.HOLDS


def assert_no_worse(scenarios: list[str]) -> None:
    """Search each scenario under mainline and every fix; designs that give the same system share a search."""
    designs = {name: DESIGNS[name] for name in ("mainline-7.3", *FIXES)}
    work = [Job(design, scenario, 2_000_000) for scenario in scenarios for design in designs.values()]
    found = {(job.design.name, job.scenario): outcome for job, outcome in run_jobs(work, 1)}
    assert len(found) == len(designs) * len(scenarios)
    for (design, name), after in found.items():
        before = found["mainline-7.3", name]
        assert set(after.properties) <= set(before.properties), f"{design}, {name}: {after.reason}"
        assert after.limit == "", (design, name)


def test_breaks_nothing_it_touches() -> None:
    assert_no_worse([name for name in DEFAULT_SCENARIOS if name.startswith(TOUCHED)])


@pytest.mark.slow
def test_breaks_nothing() -> None:
    assert_no_worse(list(DEFAULT_SCENARIOS))


def test_is_a_proposal() -> None:
    """Fixes are named, not part of what is checked by default."""
    assert not set(FIXES) & set(DEFAULT_DESIGNS)
