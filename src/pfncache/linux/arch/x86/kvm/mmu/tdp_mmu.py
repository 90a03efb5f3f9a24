# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/tdp_mmu.c: SPTEs. One leaf for each gfn replaces the page tables."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_TDX_VM
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.lockdep import lockdep_assert_held_write
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
        Simplified: it always may block. kvm_arch_flush_shadow_all() calls it too, instead of tdp_mmu_zap_root().
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

    @part_of("tdp_mmu_zap_leafs")
    @atomic
    def zap_spte(self, kvm: Kvm, gfn: Gfn, private: bool, shared: bool) -> bool:
        """Zap one SPTE, if its root is one that the filter names; all but TDX have one root, whatever the filter.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_zap_leafs(), arch/x86/kvm/mmu/tdp_mmu.h
        kvm_gfn_range_filter_to_root_types(), v7.3.4.
        Locks: mmu_lock for writing.
        Returns: whether it was present.
        """
        spte = kvm.sptes[gfn]
        present: bool = False
        if not self.kvm_has_mirrored_tdp(kvm) or (spte.private and private) or (not spte.private and shared):
            present = spte.pfn >= 0
            spte.pfn = -1
        return present

    def kvm_memslots_have_rmaps(self, kvm: Kvm) -> bool:
        """Return whether the memslots have rmaps: with shadow paging, or once a shadow root was allocated.

        Linux: arch/x86/kvm/mmu.h kvm_memslots_have_rmaps(), v7.3.4.
        Simplified: always, as in a VM that has run a nested guest. There is no shadow paging beyond that.
        """
        return True

    def kvm_has_mirrored_tdp(self, kvm: Kvm) -> bool:
        """Return whether private memory has a root of its own.

        Linux: arch/x86/kvm/mmu.h kvm_has_mirrored_tdp(), v7.3.4.
        """
        return kvm.vm_type == KVM_X86_TDX_VM

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
