# SPDX-License-Identifier: GPL-2.0-only
"""Faults of published patches, planted in mainline: a scenario of the catalogue, or one of its own, finds each."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.arch.x86.kvm.xen import Xen
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.kvm_types import is_error_noslot_pfn
from pfncache.linux.include.linux.types import Errno
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World, no_caches
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.cases.case_35_lost_event import ForgetsEvent
from tests.cases.case_37_fault_in_sched_out import FaultsInSchedOut
from tests.cases.case_38_slot_leak import LeakSlot, bind_twice


class CachedStealMap(Patch, X86):
    """Revert "KVM: x86: Fix recording of guest steal time / preempted status" (7e2175ebd695, 5.16).

    pv_time stands for the old cache, which has a reference on its page and follows the memslots alone.
    """

    def record_steal_time(self, vcpu: KvmVcpu) -> None:
        kvm = vcpu.kvm
        assert kvm is not None
        slots = self.kvm_memslots(kvm)
        gfn = self.gpa_to_gfn(vcpu.st.cache.gpa)
        old = vcpu.pv_time
        if is_error_noslot_pfn(old.pfn) or old.generation != slots.generation:
            slot = self._gfn_to_memslot(slots, gfn)
            pfn = self.hva_to_pfn(self.gfn_to_hva_memslot(slot, gfn))
            if is_error_noslot_pfn(pfn):
                return
            old.generation = slots.generation
            old.memslot = slot
            old.pfn = pfn
        self.kernel_access(self.kmap(self.mem_map[old.pfn]), True)
        self.mark_page_dirty_in_slot(kvm, old.memslot, gfn)


@scenario(caches=no_caches, pages=4)
def steal(w: World) -> None:
    """Steal time is written twice while its page is replaced."""
    w.steal_time_on()
    run_vcpu = w.call("run_steal_time_update", w.vcpu)
    w.actor("vcpu", run_vcpu, run_vcpu)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva), w.call("do_user_addr_fault", w.mm, w.hva))


class MarksEvents(Patch, Xen):
    """Mark shared_info dirty when an event is set: mark_page_dirty_in_slot() requires a vCPU."""

    def set_evtchn_pending(self, gpc: GfnToPfnCache) -> Errno:
        rc = super().set_evtchn_pending(gpc)
        self.kvm_gpc_mark_dirty_in_slot(gpc)
        return rc


FAULTS = [
    (MarksEvents, "xen/kthread-sender", "warn-on"),
    (CachedStealMap, steal, "lost-update"),
    (ForgetsEvent, "xen/send-and-inject", "lost-event"),
    (FaultsInSchedOut, "vcpu/sched-out", "sleeping-in-atomic"),
    (LeakSlot, bind_twice, "leak"),
]


@pytest.mark.parametrize(("patch", "where", "expected"), FAULTS)
def test_fault_is_found(patch: type[Patch], where: object, expected: str) -> None:
    planted: Design = (mainline_7_3 + [patch]).named("planted", patch.subject())
    outcome = run(Job(planted, where, 2_000_000))  # type: ignore[arg-type]
    assert (outcome.verdict, outcome.property) == ("violated", expected), outcome.reason
    assert run(Job(mainline_7_3, where, 2_000_000)).verdict == "holds"  # type: ignore[arg-type]
