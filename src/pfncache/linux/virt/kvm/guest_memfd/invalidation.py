# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/guest_memfd.c, invalidation: pages of the file are taken away from the guest.

Mainline's invalidation is about SPTEs alone. A pfncache learns that a page goes away through the MMU notifiers, if user
space has mapped the file.
"""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GmemFile, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Pgoff
from pfncache.linux.include.uapi.linux.kvm import GUEST_MEMFD_FLAG_INIT_SHARED
from pfncache.linux.kernel.locking.rwsem import down_read
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class GuestMemfdInvalidation(KvmMm):
    """The functions of virt/kvm/guest_memfd.c that begin and end an invalidation."""

    def kvm_gmem_invalidate_start(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Zap what the guest maps of the pages [start, end) of the inode.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_invalidate_start(), v7.3.4.
        Locks: invalidate_lock.
        """
        private = self.kvm_gmem_get_invalidate_filter(inode)
        for file in self.gmem_files:
            if file.f_mapping is inode and inode.gmem_listed:
                self._kvm_gmem_invalidate_start(file.private_data, start, end, private)

    def _kvm_gmem_invalidate_start(self, f: GmemFile, start: Pgoff, end: Pgoff, private: bool) -> None:
        """Zap what the slots that are bound in [start, end) have mapped; pfncaches are not invalidated.

        `private` is the filter: zap private SPTEs if it is set, shared ones if not. mmu_lock is taken at the first
        slot, and may be dropped while a slot's range is zapped, which is as a whole part of the range in progress.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_invalidate_start(), virt/kvm/kvm_main.c kvm_mmu_unmap_gfn_range(),
        v7.3.4.
        Locks: invalidate_lock.
        Simplified: each slot has one entry of the xarray, which an unaligned range has not.
        """
        kvm = f.kvm
        assert kvm is not None
        found: bool = False
        flush: bool = False
        seen: KvmMemorySlot | None = None
        for index in range(len(f.bindings)):
            if start <= index < end:
                slot = f.bindings[index].slot
                if slot is not None and slot is not seen:
                    seen = slot
                    if not found:
                        found = True
                        kvm.mmu_lock.write_lock()
                        self.kvm_mmu_invalidate_start(kvm)
                    first = slot.base_gfn + max(slot.gmem_pgoff, start) - slot.gmem_pgoff
                    last = slot.base_gfn + min(slot.gmem_pgoff + slot.npages, end) - slot.gmem_pgoff
                    self.kvm_mmu_invalidate_range_add(kvm, first, last)
                    # Zapping walks metadata that kvm_arch_prepare_memory_region() allocates.
                    if self.unmap_slot_range(kvm, slot, first, last, private, not private):
                        flush = True
                    self.kvm_arch_gmem_invalidate_range(kvm, first, last)
        self.flush_if(kvm, flush)
        if found:
            kvm.mmu_lock.write_unlock()

    def kvm_gmem_get_invalidate_filter(self, inode: AddressSpace) -> bool:
        """Return which SPTEs can map the inode's pages: True for the private ones, False for the shared ones.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_get_invalidate_filter(), v7.3.4 (since 6.18: 5d3341d684be).
        """
        return inode.gmem_flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0

    @part_of("kvm_unmap_gfn_range")
    def unmap_slot_range(
        self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn, private: bool, shared: bool
    ) -> bool:
        """Zap a range of a slot by a walk of the slot's rmap, and in the TDP MMU.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_unmap_gfn_range(), v7.3.4.
        Locks: mmu_lock for writing.
        Returns: whether TLBs must be flushed before mmu_lock is dropped.
        Simplified: nothing is in the rmaps.
        """
        if self.kvm_memslots_have_rmaps(kvm):
            self.check_arch_ready(slot)
        return self.kvm_unmap_gfn_range(kvm, start, end, private, shared)

    @part_of("kvm_unmap_gfn_range")
    @atomic
    def check_arch_ready(self, slot: KvmMemorySlot) -> None:
        """Report a NULL dereference if the slot's rmap is not allocated.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_unmap_gfn_range(), v7.3.4, by way of slot->arch.rmap.
        """
        if not slot.arch_ready:
            report("null-dereference", f"{slot} is walked, but its arch metadata is not allocated")

    def kvm_gmem_invalidate_end(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """End the invalidation of [start, end): page faults of the guest may map pages there again.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_invalidate_end(), v7.3.4.
        Locks: invalidate_lock, held since kvm_gmem_invalidate_start().
        """
        for file in self.gmem_files:
            if file.f_mapping is inode and inode.gmem_listed:
                self._kvm_gmem_invalidate_end(file.private_data, start, end)

    def _kvm_gmem_invalidate_end(self, f: GmemFile, start: Pgoff, end: Pgoff) -> None:
        """End the invalidation if a slot is bound in [start, end), as it must have been at the start.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_invalidate_end(), v7.3.4.
        Locks: invalidate_lock, held since the start.
        """
        kvm = f.kvm
        assert kvm is not None
        for index in range(len(f.bindings)):
            if start <= index < end and f.bindings[index].slot is not None:
                with write_lock(kvm.mmu_lock):
                    self.kvm_mmu_invalidate_end(kvm)
                break

    def kvm_gmem_error_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Take a page whose memory has failed away from the guest; it stays in the page cache.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_error_folio(), v7.3.4.
        Locks: takes invalidate_lock for reading.
        """
        with down_read(mapping.invalidate_lock):
            self.kvm_gmem_invalidate_start(mapping, index, index + 1)
            self.kvm_gmem_invalidate_end(mapping, index, index + 1)
