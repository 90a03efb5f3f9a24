# SPDX-License-Identifier: GPL-2.0-only
"""The plan: each patch is needed, no step breaks anything, and every path reaches memory without a direct map."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS, mainline_7_3
from pfncache.designs.design import Design
from pfncache.designs.plan.series import ACCESS, FIXES, PLAN
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.predict import predict
from pfncache.matrix.view import word
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run, run_jobs

STATES = 2_000_000
WITHOUT = {
    "InvalidateCachesOnRelease": ("xen/process-exit", "stale-translation"),
    "TakeUserOfMm": ("xen/kthread-exit", "use-after-free"),
    "PollOutsideSrcu": ("xen/poll-and-update", "deadlock"),
    "UnlockFailedFolio": ("gmem/failure-and-punch", "deadlock"),
    "WaitForExitingVcpu": ("vmsa/punch-beside-kick", "use-after-free"),
    "TestActiveFirst": ("xen/never-activated", "warn-on"),
    "RetryInRange": ("livelock/unrelated-memory", "livelock"),
    "RefuseOtherPages": ("gmem/split-brain", "lost-update"),
    "MapForEachAccess": ("clock/gmem-ndm/punch", "unmapped-access"),
}
"""By patch: what is violated without it."""
LOST = {
    "GmemFlag": dict.fromkeys(PATHS, "EINVAL"),
    "VmapPinnedPages": {"kvm_vcpu_map": "!unmapped"},
    "LookupWithoutDirectMap": {
        "pfncache": "lost", "pfncache by hva": "EFAULT", "kvm_vcpu_map": "internal", "mapping of L2": "VMFAIL",
    },
}  # fmt: skip
"""By patch: what becomes of memory without a direct map that user space maps, without the patch."""
LEFT = {
    "uffd/slot-update-of-handler": "deadlock",
    "nested/dontneed": "lost-update",
    "nested/punch": "lost-update",
    "livelock/slot-update": "livelock",
}
"""What mainline violates and the plan does not cure: docs/findings says of each why."""


def verdict(design: Design, scenario: str) -> Outcome:
    return run(Job(design, scenario, STATES))


def without(name: str) -> Design:
    return (mainline_7_3 + [p for p in PLAN if p.__name__ != name]).named(f"plan-without-{name}", "")


@pytest.mark.parametrize("name", WITHOUT)
def test_a_patch_is_needed(name: str) -> None:
    scenario, kind = WITHOUT[name]
    assert kind in verdict(without(name), scenario).properties
    assert verdict(DESIGNS["plan"], scenario).verdict == Verdict.HOLDS


@pytest.mark.parametrize("path", [p for p in PATHS if p != "VMSA"])
def test_every_path_reaches_memory_without_a_direct_map(path: str) -> None:
    cell = predict(DESIGNS["plan"], PATHS[path], KINDS["ndm/mapped"])
    assert (word(cell.seen), cell.with_no_direct_map, "direct map" in cell.means) == ("works", False, False)


@pytest.mark.parametrize(("name", "path"), [(n, p) for n in LOST for p in LOST[n] if n != "GmemFlag"])
def test_a_path_needs_a_patch(name: str, path: str) -> None:
    assert word(predict(without(name), PATHS[path], KINDS["ndm/mapped"]).seen) == LOST[name][path]


def test_every_patch_is_needed_for_something() -> None:
    """What maps is needed by what uses the mapping; without the flag, there is no such memory."""
    built_on = {"KmapLocal", "DirectMapInPageCache", "GmemFlag"}
    assert {p.__name__ for p in PLAN} == {*WITHOUT, *LOST, *built_on}
    assert not (mainline_7_3 + list(FIXES)).has("gmem-ndm")
    assert (mainline_7_3 + list(ACCESS[:3])).has("gmem-ndm")
    for name in ("KmapLocal", "DirectMapInPageCache"):
        assert any(name in (base.__name__ for base in p.__mro__[1:]) for p in ACCESS)


@pytest.mark.parametrize("scenario", LEFT)
def test_what_is_left(scenario: str) -> None:
    for design in (mainline_7_3, DESIGNS["plan"]):
        assert LEFT[scenario] in verdict(design, scenario).properties


def no_step_is_worse(scenarios: list[str]) -> None:
    """Search scenarios under mainline and each prefix of the plan."""
    steps = [mainline_7_3, *DESIGNS["plan"].prefixes()]
    work = [Job(d, s, STATES) for s in scenarios for d in steps if d.has(DEFAULT_SCENARIOS[s].memory)]
    found = {(job.design.name, job.scenario): outcome for job, outcome in run_jobs(work, 1)}
    assert len(found) == len(work)
    for (design, scenario), outcome in found.items():
        before = found.get(("mainline-7.3", scenario))
        allowed = set() if before is None else set(before.properties)
        assert set(outcome.properties) <= allowed, f"{design}, {scenario}: {outcome.reason}"
        assert outcome.limit == "", (design, scenario)


def test_no_step_is_worse_where_its_patches_are_run() -> None:
    ours = [s for s in DEFAULT_SCENARIOS if s.startswith("clock/gmem-ndm/")]
    no_step_is_worse(list(dict.fromkeys([*ours, *(scenario for scenario, _ in WITHOUT.values())])))


PARTS = 8


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_no_step_is_worse_anywhere(part: int) -> None:
    no_step_is_worse(list(DEFAULT_SCENARIOS)[part::PARTS])


def test_stands_in_the_first_table() -> None:
    assert DEFAULT_DESIGNS[:2] == ("mainline-7.3", "plan")
