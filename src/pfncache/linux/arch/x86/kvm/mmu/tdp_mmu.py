# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/tdp_mmu.c: SPTEs. One leaf for each gfn replaces the page tables."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class TdpMmu(KvmMm):
    """The functions of arch/x86/kvm/mmu/tdp_mmu.c."""

    def tdp_mmu_zap_leafs(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool, shared: bool) -> None:
        """Zap the SPTEs of [start, end).

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_zap_leafs(), tdp_mmu_iter_cond_resched(), v7.3.4.
        Locks: mmu_lock for writing. It may be dropped before each SPTE, and is dropped before each but the first; an
        invalidation is in progress meanwhile.
        """
        first: bool = True
        for gfn in range(len(kvm.sptes)):
            if start <= gfn < end:
                if not first:
                    kvm.mmu_lock.write_unlock()
                    kvm.mmu_lock.write_lock()
                first = False
                self.zap_spte(kvm, gfn, private, shared)

    @part_of("tdp_mmu_zap_leafs")
    @atomic
    def zap_spte(self, kvm: Kvm, gfn: Gfn, private: bool, shared: bool) -> None:
        """Zap one SPTE below the private root, the shared root, or both.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_zap_leafs(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        spte = kvm.sptes[gfn]
        if (spte.private and private) or (not spte.private and shared):
            spte.pfn = -1

    @part_of("tdp_mmu_map_handle_target_level")
    @atomic
    def set_spte(self, kvm: Kvm, gfn: Gfn, pfn: Pfn, private: bool) -> None:
        """Map a page for the guest.

        Linux: arch/x86/kvm/mmu/tdp_mmu.c tdp_mmu_map_handle_target_level(), v7.3.4.
        Locks: mmu_lock for reading.
        """
        kvm.sptes[gfn].pfn = pfn
        kvm.sptes[gfn].private = private
        self.trace_set_spte(kvm, gfn, pfn, private)
