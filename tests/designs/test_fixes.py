# SPDX-License-Identifier: GPL-2.0-only
"""Each proposed fix cures the scenarios that mainline violates, and breaks no other."""

from __future__ import annotations

import pytest

from pfncache.check.system import Call
from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.scenarios import DEFAULT_SCENARIOS, users
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import Job, run, run_jobs

FIXES = {
    "caches-invalidated-on-release": ["xen/process-exit"],
    "xen-timer-stopped": [],
    "failed-folio-unlocked": [
        "gmem/failure-and-punch",
        "pairs/gmem-mmap/punch+memory-failure",
        "pairs/gmem-mmap/allocate+memory-failure",
    ],
}
"""What each design cures."""
TOUCHED = ("xen/", "vm/", "gmem/f", "gmem/close", "gmem/dying", "clock/gmem-mmap/memory-failure")
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


@scenario(caches=lambda world: ())
def destroy_and_timer(w: World) -> None:
    """A VM is destroyed, the page of shared_info goes, a timer expires."""
    w.kvm.gpcs = (w.kvm.xen.shinfo_cache,)
    w.do(w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, False))
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm))
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, TaskStruct("elsewhere"))), process=False)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@pytest.mark.parametrize(
    ("design", "verdict"),
    [
        ("mainline-7.3", Verdict.VIOLATED),
        ("caches-invalidated-on-release", Verdict.HOLDS),
        ("xen-timer-stopped", Verdict.HOLDS),
    ],
)
def test_destroy_window(design: str, verdict: Verdict) -> None:
    outcome = run(Job(DESIGNS[design], destroy_and_timer, 2_000_000))
    assert outcome.verdict == verdict, outcome.reason
    if verdict == Verdict.VIOLATED:
        assert "stale-translation" in outcome.properties
