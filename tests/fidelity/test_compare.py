# SPDX-License-Identifier: GPL-2.0-only
"""Two designs in a scenario: what differs is found, and what does not is not."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design, Patch
from pfncache.fidelity import compare as comparing
from pfncache.fidelity.compare import ComparisonJob, compare
from pfncache.fidelity.result import Agreement, ScenarioFidelity, SideResult
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.scenarios import SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.runner import FinalSearch, search_final

BASE = DESIGNS["mainline-7.3"]


def compared(subject: Design, scenario: str, max_states: int = 100_000) -> ScenarioFidelity:
    return compare(ComparisonJob(reference=BASE, subject=subject, scenario=SCENARIOS[scenario], max_states=max_states))


class AnotherLocal(Patch, Pfncache):
    """Keep the result of a refresh in a local."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Do the same in other words."""
        result = super().kvm_gpc_refresh(gpc, length)
        failed = result != 0
        return result if failed else 0


class AnotherErrno(Patch, Pfncache):
    """Return another number."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Return -EFAULT where Linux returns -EINVAL."""
        result = super().kvm_gpc_refresh(gpc, length)
        return -EFAULT if result == -EINVAL else result


class ForgetGeneration(Patch, Pfncache):
    """Change what an operation leaves behind, without breaking a property."""

    def kvm_gpc_deactivate(self, gpc: GfnToPfnCache) -> None:
        """Forget the generation of a cache that is not active."""
        super().kvm_gpc_deactivate(gpc)
        gpc.generation = 0


def test_a_design_is_the_same_as_itself() -> None:
    found = compared(BASE, "gpc/refresh-deactivate")
    assert found.agreement is Agreement.SAME
    assert found.reference == found.subject
    assert (found.reference.verdict, found.reference.properties) == ("holds", ())
    assert found.reference.states > found.reference.final > 1


def test_other_locals_are_no_difference() -> None:
    found = compared((BASE + [AnotherLocal]).named("other", "other"), "gpc/refresh-deactivate")
    assert (found.agreement, found.finals) == (Agreement.SAME, ())


def test_what_an_operation_returns_is_a_difference() -> None:
    found = compared((BASE + [AnotherErrno]).named("other", "other"), "gpc/refresh-deactivate")
    assert (found.agreement, found.reference.verdict, found.subject.verdict) == (Agreement.DIFFERENT, "holds", "holds")
    first, second = found.finals
    assert (first.design, second.design) == ("mainline-7.3", "other")
    (one,) = second.example
    assert one.name == "refresher: refresh_cache().returned"
    assert (one.reference, one.subject) == (-EINVAL, -EFAULT)
    assert str(one) == f"refresher: refresh_cache().returned {-EINVAL} | {-EFAULT}"


def test_what_is_left_behind_is_a_difference() -> None:
    found = compared((BASE + [ForgetGeneration]).named("other", "other"), "gpc/activate-deactivate")
    assert found.agreement is Agreement.DIFFERENT
    assert found.reference.verdict == found.subject.verdict == "holds"
    assert {one.name for difference in found.finals for one in difference.example} == {"vcpu.pv_time.generation"}


def test_a_violation_is_a_difference() -> None:
    found = compared(DESIGNS["no-active-count"], "clock/anon/dontneed")
    assert found.agreement is Agreement.DIFFERENT
    assert (found.reference.properties, found.subject.properties) == ((), ("stale-translation", "use-after-free"))


def test_a_bounded_search_is_no_difference() -> None:
    found = compared(DESIGNS["no-active-count"], "clock/anon/dontneed", max_states=20)
    assert found.agreement is Agreement.INCOMPLETE
    assert found.reference.limit == "the limit of 20 states"


def test_a_scenario_that_uses_nothing_of_a_patch_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def counting(job: Job) -> FinalSearch:
        searched.append(job.design.name)
        return search_final(job)

    monkeypatch.setattr(comparing, "search_final", counting)
    other = DESIGNS["no-srcu-in-zap-range"]
    assert compared(other, "gpc/move-in-page").agreement is Agreement.SAME
    assert searched == ["mainline-7.3"]
    assert compared(other, "clock/anon/zap-range").agreement is Agreement.DIFFERENT
    assert searched == ["mainline-7.3", "mainline-7.3", other.name]


def side(verdict: Verdict = Verdict.HOLDS, *properties: str, complete: bool = True) -> SideResult:
    return SideResult(verdict=verdict, properties=properties, is_complete=complete)


def test_agreement() -> None:
    broken = side(Verdict.VIOLATED, "leak")
    other = side(Verdict.VIOLATED, "deadlock")

    def agreement(first: SideResult, second: SideResult, reason: str = "") -> Agreement:
        return ScenarioFidelity(scenario="a/b", reference=first, subject=second, reason=reason).agreement

    assert agreement(broken, broken) is Agreement.SAME
    assert agreement(broken, other) is Agreement.DIFFERENT
    assert agreement(broken, other, "known") is Agreement.EXPLAINED
    assert agreement(broken, broken, "known") is Agreement.SAME
    assert agreement(broken, side(complete=False)) is Agreement.INCOMPLETE
    assert ScenarioFidelity.unknown("a/b", Verdict.LOST, "killed").agreement is Agreement.INCOMPLETE
