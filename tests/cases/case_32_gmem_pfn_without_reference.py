# SPDX-License-Identifier: GPL-2.0-only
"""Case 32: kvm_gmem_get_pfn() returns a pfn without a reference; the retry test under mmu_lock alone protects an SPTE.

Known from: 18adb02dd2d7 and 89fbe3de01cc, queued for v7.4.
Right verdict: holds, as no bug is known in it.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.mmu.mmu import RET_PF_RETRY
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Errno, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import read_lock
from pfncache.linux.vmlinux import Vmlinux


class NoReference(Patch, Vmlinux):
    """KVM: guest_memfd: do not return a reference with a pfn."""

    def kvm_mmu_faultin_pfn_gmem(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Drop the reference at once."""
        pfn = super().kvm_mmu_faultin_pfn_gmem(kvm, slot, gfn)
        if pfn >= 0:
            self.put_page(self.mem_map[pfn])
        return pfn

    def kvm_tdp_page_fault(self, kvm: Kvm, gfn: Gfn, private: bool) -> Errno:
        """Do as mainline, but drop a reference only where one was taken."""
        slot = self.gfn_to_memslot(kvm, gfn)
        sequence = kvm.mmu_invalidate_seq
        if private != kvm.mem_attr_array[gfn].private or slot is None:
            return -EFAULT
        if slot.invalid or self.mmu_invalidate_retry_gfn_unsafe(kvm, sequence, gfn):
            return RET_PF_RETRY
        gmem = self.fault_from_gmem(slot, private)
        if gmem:
            if not slot.guest_memfd:
                return -EFAULT
            pfn = self.kvm_mmu_faultin_pfn_gmem(kvm, slot, gfn)
        else:
            hva = self.gfn_to_hva_memslot(slot, gfn)
            if self.kvm_is_error_hva(hva):
                return -EFAULT
            pfn = self.hva_to_pfn(hva)
        if pfn < 0:
            return -EFAULT
        with read_lock(kvm.mmu_lock):
            stale = self.is_page_fault_stale(kvm, sequence, gfn)
            if not stale:
                self.set_spte(kvm, gfn, pfn, private)
            if not gmem:
                self.kvm_release_page_clean(pfn)
        return RET_PF_RETRY if stale else 0


no_reference = mainline_7_3 + [NoReference]
