# SPDX-License-Identifier: GPL-2.0-only
"""What could be done instead: the series with its holes closed, and kvm-clock without a pfncache."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.requirement import MMU_SEQUENCE
from pfncache.designs.rfc import InvalidateOnGmemEvents, MapThroughVmap, ResolvePfnsViaGmem
from pfncache.lang.atomic import atomic, host_only
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, GmemFile, Kvm, KvmVcpu
from pfncache.linux.include.linux.types import (
    INVALID_GPA,
    KVM_PFN_ERR_FAULT,
    Errno,
    Gfn,
    Gpa,
    Hva,
    Pfn,
    Pgoff,
    Sequence,
)
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import read_lock_irq, spin_lock, write_lock_irq
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMain
from pfncache.linux.virt.kvm.pfncache import Pfncache


class BumpSequence(InvalidateOnGmemEvents):
    """KVM: guest_memfd: move gpc_invalidate_seq on at the end of an invalidation."""

    provides = (MMU_SEQUENCE,)

    def _kvm_gmem_invalidate_end(self, f: GmemFile, start: Pgoff, end: Pgoff) -> None:
        """First the sequence; what the series does lowers the count."""
        kvm = f.kvm
        assert kvm is not None
        with spin_lock(kvm.mn_invalidate_lock):
            self.kvm_bump_gpc_invalidate_seq(kvm)
        super()._kvm_gmem_invalidate_end(f, start, end)

    def kvm_gmem_attributes_end(self, kvm: Kvm) -> None:
        """First the sequence."""
        with spin_lock(kvm.mn_invalidate_lock):
            self.kvm_bump_gpc_invalidate_seq(kvm)
        super().kvm_gmem_attributes_end(kvm)


class BoolInsteadOfCount(Patch, KvmMain):
    """KVM: guest_memfd: a flag that says that an invalidation is in progress.

    Two that overlap share it: the first to end clears it for both.
    """

    def raise_mn_active_invalidate_count(self, kvm: Kvm) -> None:
        """Set the flag."""
        if kvm.mn_active_invalidate_count == 0:
            kvm.mn_active_invalidate_count = 1

    def lower_mn_active_invalidate_count(self, kvm: Kvm) -> bool:
        """Clear the flag."""
        kvm.mn_active_invalidate_count = 0
        return True


class MemslotsUnderLock(InvalidateOnGmemEvents):
    """KVM: look the memslots up under slots_lock when the attributes change."""

    def kvm_vm_set_mem_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Whoever holds slots_lock needs no SRCU."""
        with mutex(kvm.slots_lock):
            return self.set_mem_attributes(kvm, self.kvm_memslots_locked(kvm), start, end, private)


class CompareIdentity(ResolvePfnsViaGmem):
    """KVM: pfncache: look a gmem-backed page up again when the memslots have changed."""

    def gpc_may_keep_pfn(self, gpc: GfnToPfnCache, hva_change: bool) -> bool:
        """The user address says nothing about what guest_memfd has."""
        if gpc.gpa != INVALID_GPA and gpc.memslot is not None and gpc.memslot.guest_memfd:
            return False
        return super().gpc_may_keep_pfn(gpc, hva_change)


class AskFolioMapping(MapThroughVmap):
    """KVM: pfncache: ask folio_mapping(), not page->mapping."""

    @atomic
    def page_lacks_direct_map(self, pfn: Pfn) -> bool:
        """An anonymous page has no mapping."""
        page = self.mem_map[pfn]
        mapping = page.mapping
        return not page.anon and mapping is not None and mapping.no_direct_map


class RefusePrivate(ResolvePfnsViaGmem):
    """KVM: pfncache: refuse private memory."""

    def gpc_to_pfn(self, gpc: GfnToPfnCache) -> Pfn:
        """Neither by the guest's attribute nor by the inode may the page be private. The attribute is read once."""
        kvm = gpc.kvm
        assert kvm is not None
        slot = gpc.memslot
        if slot is not None and slot.guest_memfd:
            gfn = self.gpa_to_gfn(gpc.gpa)
            if self.kvm_mem_is_private(kvm, gfn):
                return KVM_PFN_ERR_FAULT
            if slot.gmem_only:
                file = slot.gmem_file
                if file is None or file.f_mapping.gmem_flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0:
                    return KVM_PFN_ERR_FAULT
                return self.kvm_gmem_get_pfn(kvm, slot, gfn)
        return self.hva_to_pfn(self.page_align_down(gpc.uhva))


class RetryInRange(Patch, Pfncache, KvmMain):
    """KVM: pfncache: repeat a lookup only when its own address is invalidated.

    An invalidation marks the caches in its range, whether or not they are valid. A lookup that begins while one is in
    progress is marked from the start. What is invalidated elsewhere holds nobody up, and there is no sequence.
    """

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Widen the one range that is being invalidated; it never shrinks while anything is in progress."""
        with spin_lock(kvm.mn_invalidate_lock):
            alone = kvm.mn_active_invalidate_count == 0
            if alone or start < kvm.mn_invalidate_range_start:
                kvm.mn_invalidate_range_start = start
            if alone or end > kvm.mn_invalidate_range_end:
                kvm.mn_invalidate_range_end = end
            self.raise_mn_active_invalidate_count(kvm)
        self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        self.kvm_handle_hva_range_start(kvm, start, end)

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Mark the caches, too."""
        with spin_lock(kvm.gpc_lock):
            for gpc in kvm.gpcs:
                if kvm.gpc_list.reaches(gpc.list):
                    with read_lock_irq(gpc.lock):
                        hit = start <= gpc.uhva < end
                    if hit:
                        with write_lock_irq(gpc.lock):
                            if start <= gpc.uhva < end:
                                gpc.valid = False
                                gpc.outdated = True

    def kvm_bump_gpc_invalidate_seq(self, kvm: Kvm) -> None:
        """Nobody would look."""

    def gpc_to_pfn(self, gpc: GfnToPfnCache) -> Pfn:
        """Begin a lookup. The mark is set before it if what it finds may be on its way out."""
        kvm = gpc.kvm
        assert kvm is not None
        with write_lock_irq(gpc.lock), spin_lock(kvm.mn_invalidate_lock):
            gpc.outdated = (
                kvm.mn_active_invalidate_count != 0
                and kvm.mn_invalidate_range_start <= gpc.uhva < kvm.mn_invalidate_range_end
            )
        return super().gpc_to_pfn(gpc)

    def gpc_must_retry(self, gpc: GfnToPfnCache, sequence: Sequence) -> bool:
        """Only for the cache's own address."""
        return gpc.outdated


class ClockThroughUserspace(Patch, X86):
    """KVM: x86: update kvm-clock through its user address.

    The clock is only ever written by its vCPU, which may fault. It needs no kernel mapping, and so no invalidation.
    """

    def kvm_write_system_time(self, vcpu: KvmVcpu, gpa: Gpa, enable: bool) -> Errno:
        """Remember where the guest wants its clock."""
        kvm = vcpu.kvm
        assert kvm is not None
        vcpu.clock_update = True
        if enable:
            self.kvm_gfn_to_hva_cache_init(kvm, vcpu.pv_time_hva, gpa)
        else:
            vcpu.pv_time_hva.gpa = INVALID_GPA
        return 0

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Write it, with three writes as the protocol wants."""
        kvm = vcpu.kvm
        assert kvm is not None
        if vcpu.pv_time_hva.gpa != INVALID_GPA:
            for _ in range(3):
                if self.kvm_write_guest_cached(kvm, vcpu.pv_time_hva, b"\0") != 0:
                    return
            self.host_user_pvclock(vcpu)

    @host_only
    def host_user_pvclock(self, vcpu: KvmVcpu) -> None:
        """The bytes of what was written."""
        hva = vcpu.pv_time_hva.hva
        data = bytearray(self.host_get(hva, self.PVCLOCK_SIZE))
        version = int.from_bytes(data[:4], "little")
        self.host_fill_pvclock(vcpu, memoryview(data))
        data[:4] = ((version + 3) // 2 * 2 & 0xFFFFFFFF).to_bytes(4, "little")
        self.host_put(hva, bytes(data))

    def kvmclock_reset(self, vcpu: KvmVcpu) -> None:
        """Forget it."""
        vcpu.pv_time_hva.gpa = INVALID_GPA
