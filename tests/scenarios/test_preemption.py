# SPDX-License-Identifier: GPL-2.0-only
"""Where a vCPU's thread is preempted: within a refresh, but not between kvm_gpc_check() and the use of the cache."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Patch
from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.virt.kvm.kvm_main.vcpu import VcpuMain, vcpu_load
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run

MAINLINE = DESIGNS["mainline-7.3"]
BOUND = 100_000
SCENARIOS = ("vcpu/preempted", "xen/runstate-preempted")


class ReportsASection(Patch, VcpuMain):
    """Report a preemption while the thread has the lock of its cache; an invalidation on another CPU may have it."""

    def kvm_sched_out(self, vcpu: KvmVcpu) -> None:
        """Look first."""
        self.look(vcpu, vcpu.pv_time)
        self.look(vcpu, vcpu.xen.runstate_cache)
        super().kvm_sched_out(vcpu)

    @atomic
    def look(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Report a lock that is held, and by no invalidation."""
        kvm = vcpu.kvm
        assert kvm is not None
        if kvm.mn_active_invalidate_count == 0 and (gpc.lock.readers != 0 or gpc.lock.writer):
            report("lock-assertion", f"preempted with {gpc.lock}")


class ReportsARefresh(Patch, VcpuMain):
    """Report a preemption within a refresh, whose mutex is held."""

    def kvm_sched_out(self, vcpu: KvmVcpu) -> None:
        """Look first."""
        self.look(vcpu.pv_time)
        self.look(vcpu.xen.runstate_cache)
        super().kvm_sched_out(vcpu)

    @atomic
    def look(self, gpc: GfnToPfnCache) -> None:
        """Report a mutex that is held."""
        if gpc.refresh_lock.held:
            report("lock-assertion", f"preempted with {gpc.refresh_lock}")


class PreemptsAnywhere(Patch, VcpuMain):
    """A scheduler that ignores preempt_count and interrupts that are disabled."""

    @atomic
    def begin_preemption(self, vcpu: KvmVcpu, preempted: TaskStruct) -> bool:
        """Do not wait."""
        if preempted.running_vcpu is not vcpu:
            return False
        vcpu_load(vcpu)
        return True


def search(scenario: str, *patches: type[Patch]) -> Outcome:
    return run(Job(MAINLINE + list(patches), scenario, BOUND))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_preemption_breaks_nothing(scenario: str) -> None:
    assert search(scenario).verdict is Verdict.HOLDS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_preemption_between_check_and_use(scenario: str) -> None:
    assert search(scenario, ReportsASection).verdict is Verdict.HOLDS
    found = search(scenario, ReportsASection, PreemptsAnywhere)
    assert (found.verdict, found.properties) == (Verdict.VIOLATED, ("lock-assertion",))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_preemption_within_a_refresh(scenario: str) -> None:
    found = search(scenario, ReportsARefresh)
    assert (found.verdict, found.properties) == (Verdict.VIOLATED, ("lock-assertion",))
