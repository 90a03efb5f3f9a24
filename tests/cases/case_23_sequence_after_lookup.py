# SPDX-License-Identifier: GPL-2.0-only
"""Case 23: a TDP fault takes its snapshot of mmu_invalidate_seq after the page was looked up.

Known from: the class of 13ec9308a857 ("KVM: arm64: Retry fault if vma_lookup() results become invalid") in v6.3.
Right verdict: violated, stale-spte.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.mmu.mmu import RET_PF_RETRY, Mmu
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import read_lock


class SnapshotLate(Patch, Mmu):
    """KVM: take the snapshot of the sequence after the lookup."""

    def kvm_tdp_page_fault(self, kvm: Kvm, gfn: Gfn, private: bool) -> Errno:
        """Look up, then take the snapshot."""
        slot = self.gfn_to_memslot(kvm, gfn)
        if slot is None:
            return -EFAULT
        if slot.invalid:
            return RET_PF_RETRY
        hva = self.gfn_to_hva_memslot(slot, gfn)
        if self.kvm_is_error_hva(hva):
            return -EFAULT
        pfn = self.hva_to_pfn(hva)
        if pfn < 0:
            return -EFAULT
        sequence = kvm.mmu_invalidate_seq
        with read_lock(kvm.mmu_lock):
            stale = self.is_page_fault_stale(kvm, sequence, gfn)
            if not stale:
                self.set_spte(kvm, gfn, pfn, private)
            self.kvm_release_page_clean(pfn)
        return RET_PF_RETRY if stale else 0


late = mainline_7_3 + [SnapshotLate]
