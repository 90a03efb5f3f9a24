# SPDX-License-Identifier: GPL-2.0-only
"""Faults of published patches, planted in mainline: a scenario of the catalogue, or one of its own, finds each."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.arch.x86.kvm.xen import Xen
from pfncache.linux.include.linux.kvm_host import File, GfnToPfnCache, Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import is_error_noslot_pfn
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.kernel.locking.spinlock import read_lock_irq
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World, no_caches
from pfncache.verify.runner import Job, run


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
    w.vcpu.st.cache.gpa = w.gpa
    run_vcpu = w.call("run_steal_time_update", w.vcpu)
    w.actor("vcpu", run_vcpu, run_vcpu)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva), w.call("do_user_addr_fault", w.mm, w.hva))


class ForgetsEvent(Patch, Xen):
    """The class of "KVM: x86/xen: inject vCPU upcall vector when local APIC is enabled" (8e62bf2bfa46, 6.8)."""

    def kvm_xen_set_evtchn_fast(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        with srcu_read_lock(kvm.srcu):
            gpc = kvm.xen.shinfo_cache
            with read_lock_irq(gpc.lock):
                if not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                    return -11
                rc: Errno = self.set_evtchn_pending(gpc)
                if rc != 1:
                    return rc
            info = vcpu.xen.vcpu_info_cache
            with read_lock_irq(info.lock):
                if self.kvm_gpc_check(info, self.PVCLOCK_SIZE):
                    self.set_evtchn_pending_sel(info)
        self.kvm_vcpu_kick(vcpu)
        return 1


class FaultsInSchedOut(Patch, X86):
    """The class of "KVM: x86: fix scheduling while atomic in kvm_arch_vcpu_put()" (931f261b42f1, 4.10)."""

    def kvm_steal_time_set_preempted(self, vcpu: KvmVcpu) -> None:
        kvm = vcpu.kvm
        assert kvm is not None
        ghc = vcpu.st.cache
        if self.kvm_memslots(kvm).generation == ghc.generation and ghc.memslot is not None:
            if not self.kvm_is_error_hva(ghc.hva) and self.copy_to_user(ghc.hva + self.STEAL_PREEMPTED, b"\1"):
                self.mark_page_dirty_in_slot(kvm, ghc.memslot, self.gpa_to_gfn(ghc.gpa))


class LeakSlot(Patch, Memslots):
    """The class of "KVM: Free new dirty bitmap if creating a new memslot fails" (c87661f855c3, 5.18)."""

    def kvm_create_memslot(
        self, kvm: Kvm, slot_id: int, new: KvmMemorySlot, gmem: File | None, gmem_pgoff: Pgoff
    ) -> Errno:
        ret: Errno = 0
        if gmem is not None:
            ret = self.kvm_gmem_prepare_memory_region(kvm, new, gmem, gmem_pgoff)
            if ret != 0:
                return ret
        kvm.slots_arch_lock.lock()
        ret = self.kvm_prepare_memory_region(kvm, None, new)
        if ret == 0 and gmem is not None:
            ret = self.kvm_gmem_commit_memory_region(kvm, new)
        kvm.slots_arch_lock.unlock()
        if gmem is not None:
            self.fput(gmem)
        return ret


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3, slot_ids=2, gfns=2, file_pages=2, caches=no_caches)
def bind_twice(w: World) -> None:
    """A part of a guest_memfd is bound to a second memslot, which fails."""
    w.cannot_reach("vmm: set_memory_region() succeeded", "the part is bound already")
    w.actor("vmm", w.call("set_memory_region", w.kvm, 1, 3, 1, w.hva, False, False, w.gmem, 0))


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
