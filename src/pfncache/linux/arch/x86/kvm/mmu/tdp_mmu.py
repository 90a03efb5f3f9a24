# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/tdp_mmu.c: SPTEs. One leaf for each gfn replaces the page tables."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.include.asm.pgtable_types import KVM_PAGES_PER_HPAGE, PG_LEVEL_2M, PG_LEVEL_4K
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_TDX_VM
from pfncache.linux.arch.x86.kvm.mmu.spte import Spte
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.lockdep import (
    assert_rwlock_held,
    lockdep_assert_held_read,
    lockdep_assert_held_write,
)
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class TdpMmu(KvmMm):
    """The functions of arch/x86/kvm/mmu/tdp_mmu.c."""

    def tdp_mmu_zap_leafs(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool, shared: bool) -> bool:
        """Zap the SPTEs of [start, end).

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_zap_leafs(), tdp_mmu_iter_cond_resched(), v7.3.4.
        Locks: mmu_lock for writing. It may be dropped before each SPTE, and is dropped before each but the first; an
        invalidation is in progress meanwhile, or slots_lock held.
        Returns: whether an SPTE was zapped, and TLBs must be flushed before mmu_lock is dropped.
        Simplified: it always may block.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        first: bool = True
        flush: bool = False
        for gfn in range(len(kvm.sptes)):
            if start <= gfn < end:
                if not first:
                    self.flush_if(kvm, flush)
                    flush = False
                    kvm.mmu_lock.write_unlock()
                    kvm.mmu_lock.write_lock()
                first = False
                if self.zap_spte(kvm, gfn, private, shared):
                    flush = True
        return flush

    def tdp_mmu_zap_root(self, kvm: Kvm) -> None:
        """Zap every SPTE. mmu_lock is dropped before each but the first; nothing is flushed.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_zap_root(), tdp_mmu_iter_cond_resched(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        for gfn in range(len(kvm.sptes)):
            if gfn > 0:
                kvm.mmu_lock.write_unlock()
                kvm.mmu_lock.write_lock()
            self.zap_spte(kvm, gfn, True, True)

    @part_of("tdp_mmu_zap_leafs")
    @atomic
    def zap_spte(self, kvm: Kvm, gfn: Gfn, private: bool, shared: bool) -> bool:
        """Zap one SPTE, if its root is one that the filter names; all but TDX have one root, whatever the filter.

        A huge SPTE is zapped as a whole, also for a range that has only a part of it.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_zap_leafs(), arch/x86/kvm/mmu/tdp_mmu.h
        kvm_gfn_range_filter_to_root_types(), v7.3.4.
        Locks: mmu_lock for writing.
        Returns: whether it was present.
        """
        spte = kvm.sptes[gfn]
        present: bool = False
        if not self.kvm_has_mirrored_tdp(kvm) or (spte.private and private) or (not spte.private and shared):
            present = spte.pfn >= 0
            self.keep_in_guest_tlb(spte)
            spte.pfn = -1
            if self.max_huge_page_level > PG_LEVEL_4K and spte.huge:
                self.keep_in_guest_tlb(kvm.sptes[gfn ^ 1])
                kvm.sptes[gfn ^ 1].pfn = -1
                kvm.sptes[gfn ^ 1].huge = False
                spte.huge = False
        return present

    @part_of_caller
    def keep_in_guest_tlb(self, spte: Spte) -> None:
        """Let a TLB of the guest have what an SPTE maps that is about to be zapped, and the first page of several.

        Linux: nothing; the processor.
        """
        if self.tlbs and spte.tlb < 0:
            spte.tlb = spte.pfn

    def kvm_memslots_have_rmaps(self, kvm: Kvm) -> bool:
        """Return whether the memslots have rmaps: with shadow paging, or once a shadow root was allocated.

        Linux: arch/x86/kvm/mmu.h kvm_memslots_have_rmaps(), v7.3.4.
        Simplified: a VM has run a nested guest, unless a scenario begins before. There is no shadow paging beyond that.
        """
        return kvm.shadow_root_allocated

    def kvm_has_mirrored_tdp(self, kvm: Kvm) -> bool:
        """Return whether private memory has a root of its own.

        Linux: arch/x86/kvm/mmu.h kvm_has_mirrored_tdp(), v7.3.4.
        """
        return kvm.vm_type == KVM_X86_TDX_VM

    def kvm_tdp_mmu_map(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, pfn: Pfn, private: bool, max_level: int) -> None:
        """Map a page for the guest, as a part of a huge page if possible; a huge SPTE above the level is split.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c kvm_tdp_mmu_map(), v7.3.4.
        Locks: mmu_lock for reading.
        Simplified: no page table is allocated; no NX huge pages.
        """
        if self.kvm_mmu_hugepage_adjust(kvm, slot, gfn, pfn, private, max_level) == PG_LEVEL_2M:
            self.set_huge_spte(kvm, gfn & -KVM_PAGES_PER_HPAGE, pfn & -KVM_PAGES_PER_HPAGE, private)
            return
        if self.max_huge_page_level > PG_LEVEL_4K and kvm.sptes[gfn].huge:
            self.tdp_mmu_split_huge_page(kvm, gfn)
        self.set_spte(kvm, gfn, pfn, private)

    @part_of("tdp_mmu_map_handle_target_level")
    @atomic
    def set_huge_spte(self, kvm: Kvm, gfn: Gfn, pfn: Pfn, private: bool) -> None:
        """Map the pages of a huge page, and drop the page table that may have been there.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_map_handle_target_level(), handle_changed_spte(), v7.3.4.
        Locks: mmu_lock for reading.
        Simplified: as set_spte(); with the flush of the TLBs.
        """
        first = kvm.sptes[gfn]
        if first.huge:
            WARN_ON_ONCE(first.pfn != pfn, "fault->pfn != spte_to_pfn(iter->old_spte)")
            return
        self.make_huge_spte(kvm, gfn, pfn, private)

    @part_of_caller
    @atomic
    def make_huge_spte(self, kvm: Kvm, gfn: Gfn, pfn: Pfn, private: bool) -> None:
        """Let one SPTE map two gfns, as tdp_mmu_map_handle_target_level() and the recovery of huge pages do.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c handle_changed_spte(), v7.3.4.
        Locks: mmu_lock for reading.
        """
        first, second = kvm.sptes[gfn], kvm.sptes[gfn + 1]
        first.pfn = pfn
        second.pfn = pfn + 1
        first.private = private
        second.private = private
        first.huge = True
        second.huge = True
        self.trace_set_spte(kvm, gfn, pfn, private)
        self.trace_set_spte(kvm, gfn + 1, pfn + 1, private)
        self.trace_set_huge_spte(kvm, gfn)

    @atomic
    def tdp_mmu_split_huge_page(self, kvm: Kvm, gfn: Gfn) -> None:
        """Replace a huge SPTE by a page table that maps the same pages, unless it is gone.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_split_huge_page(), v7.3.4.
        Locks: mmu_lock for reading.
        """
        kvm.sptes[gfn].huge = False
        kvm.sptes[gfn ^ 1].huge = False

    def kvm_tdp_mmu_try_split_huge_pages(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Split each huge SPTE of a slot; mmu_lock is dropped to allocate the page table.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c kvm_tdp_mmu_try_split_huge_pages(), tdp_mmu_split_huge_pages_root(), v7.3.4.
        Locks: mmu_lock for reading.
        Simplified: the allocation succeeds.
        """
        assert_rwlock_held(kvm.mmu_lock)
        for gfn in range(0, len(kvm.sptes), KVM_PAGES_PER_HPAGE):
            if slot.base_gfn <= gfn < slot.base_gfn + slot.npages and kvm.sptes[gfn].huge:
                kvm.mmu_lock.read_unlock()
                kvm.mmu_lock.read_lock()
                self.tdp_mmu_split_huge_page(kvm, gfn)

    def kvm_tdp_mmu_recover_huge_pages(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Replace each page table of a slot by a huge SPTE, where the pages are mapped huge elsewhere too.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c kvm_tdp_mmu_recover_huge_pages(), recover_huge_pages_range(), v7.3.4.
        Locks: mmu_lock for reading.
        """
        lockdep_assert_held_read(kvm.mmu_lock)
        WARN_ON_ONCE(slot.log_dirty, "WARN_ON_ONCE(kvm_slot_dirty_track_enabled(slot))")
        flush: bool = False
        for gfn in range(0, len(kvm.sptes), KVM_PAGES_PER_HPAGE):
            if slot.base_gfn <= gfn < slot.base_gfn + slot.npages and not kvm.sptes[gfn].huge:
                private = self.kvm_mem_is_private(kvm, gfn)
                if self.kvm_mmu_max_mapping_level(kvm, slot, gfn, private, PG_LEVEL_2M, False) == PG_LEVEL_2M:
                    if self.tdp_mmu_make_huge_spte(kvm, gfn):
                        flush = True
        self.flush_if(kvm, flush)

    @atomic
    def tdp_mmu_make_huge_spte(self, kvm: Kvm, gfn: Gfn) -> bool:
        """Replace the page table of a huge page by an SPTE, which is made of the first that is present there.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_make_huge_spte(), tdp_mmu_set_spte_atomic(), v7.3.4.
        Locks: mmu_lock for reading.
        Returns: whether one was present.
        """
        first, second = kvm.sptes[gfn], kvm.sptes[gfn + 1]
        if first.huge or (first.pfn < 0 and second.pfn < 0):
            return False
        pfn = first.pfn if first.pfn >= 0 else second.pfn - 1
        private = first.private if first.pfn >= 0 else second.private
        self.make_huge_spte(kvm, gfn, pfn, private)
        return True

    @part_of("tdp_mmu_map_handle_target_level")
    @atomic
    def set_spte(self, kvm: Kvm, gfn: Gfn, pfn: Pfn, private: bool) -> None:
        """Map a page for the guest, unless a fault that was faster has mapped it (RET_PF_SPURIOUS).

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_map_handle_target_level(), v7.3.4.
        Locks: mmu_lock for reading.
        Simplified: one step, so that no compare-and-exchange fails; a page of a logged slot is not marked dirty
        (make_spte()), nor is it write-protected when logging begins.
        """
        spte = kvm.sptes[gfn]
        if spte.pfn >= 0:
            WARN_ON_ONCE(spte.pfn != pfn, "fault->pfn != spte_to_pfn(iter->old_spte)")
            return
        spte.pfn = pfn
        spte.private = private
        self.trace_set_spte(kvm, gfn, pfn, private)

    def kvm_tdp_mmu_write_protect_gfn(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Have the guest's next write to a page table that is shadowed fault, which notes it.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c kvm_tdp_mmu_write_protect_gfn(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        vcpu.shadow.unsync = False
