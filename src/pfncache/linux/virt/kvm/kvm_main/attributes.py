# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, memory attributes: which gfns of the guest are private."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.asm.pgtable_types import PG_LEVEL_4K
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class MemAttributes(KvmMm):
    """The functions of virt/kvm/kvm_main.c for KVM_SET_MEMORY_ATTRIBUTES."""

    def kvm_mem_is_private(self, kvm: Kvm, gfn: Gfn) -> bool:
        """Return whether gfn has KVM_MEMORY_ATTRIBUTE_PRIVATE; read without a lock.

        Linux: include/linux/kvm_host.h kvm_mem_is_private(), v7.3.4.
        """
        return kvm.mem_attr_array[gfn].private

    @part_of("kvm_vm_ioctl_set_mem_attributes")
    def set_memory_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Check and set the attribute of the gfns of [start, end).

        Linux: virt/kvm/kvm_main.c kvm_vm_ioctl_set_mem_attributes(), v7.3.4.
        Returns: 0 or -EINVAL.
        Simplified: the range in gfns; kvm_vm_ioctl_set_mem_attributes() takes bytes.
        """
        if (private and not self.kvm_arch_has_private_mem(kvm)) or start >= end:
            return -EINVAL
        return self.kvm_vm_set_mem_attributes(kvm, start, end, private)

    def kvm_vm_set_mem_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Set the attribute of the gfns of [start, end); the guest has no mappings of them meanwhile.

        Linux: virt/kvm/kvm_main.c kvm_vm_set_mem_attributes(), v7.3.4.
        Locks: takes slots_lock.
        Returns: 0.
        Simplified: without the reservation of xarray entries, whose failure changes nothing.
        """
        with mutex(kvm.slots_lock):
            if self.kvm_range_has_memory_attributes(kvm, start, end, private):
                return 0
            self.handle_gfn_range_start(kvm, start, end, private)
            for gfn in range(len(kvm.mem_attr_array)):
                if start <= gfn < end:
                    kvm.mem_attr_array[gfn].private = private
            self.handle_gfn_range_end(kvm, start, end)
        return 0

    def kvm_range_has_memory_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> bool:
        """Return whether every gfn of [start, end) already has the attribute.

        Linux: virt/kvm/kvm_main.c kvm_range_has_memory_attributes(), v7.3.4.
        Locks: slots_lock.
        """
        for gfn in range(len(kvm.mem_attr_array)):
            if start <= gfn < end and kvm.mem_attr_array[gfn].private != private:
                return False
        return True

    @part_of("kvm_handle_gfn_range")
    def handle_gfn_range_start(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> None:
        """Begin an invalidation, and zap the guest's mappings of the old kind in each slot that overlaps.

        Linux: virt/kvm/kvm_main.c kvm_handle_gfn_range(), v7.3.4, with kvm_pre_set_memory_attributes as its handler;
        arch/x86/kvm/mmu/mmu.c kvm_arch_pre_set_memory_attributes().
        Locks: slots_lock.
        """
        found: bool = False
        flush: bool = False
        for entry in self._kvm_memslots(kvm).entries:
            slot = entry.slot
            if slot is not None and slot.base_gfn < end and start < slot.base_gfn + slot.npages:
                if not found:
                    found = True
                    kvm.mmu_lock.write_lock()
                    self.kvm_mmu_invalidate_start(kvm)
                slot_end = slot.base_gfn + slot.npages
                first = start if start > slot.base_gfn else slot.base_gfn
                last = end if end < slot_end else slot_end
                self.kvm_mmu_invalidate_range_add(kvm, first, last)
                if self.pre_set_attributes(kvm, slot, first, last, private):
                    flush = True
        self.flush_if(kvm, flush)
        if found:
            kvm.mmu_lock.write_unlock()

    @part_of("kvm_handle_gfn_range")
    def handle_gfn_range_end(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """End the invalidation if a slot overlaps, and update what each such slot knows of its huge pages.

        Linux: virt/kvm/kvm_main.c kvm_handle_gfn_range(), v7.3.4, with kvm_mmu_invalidate_end under mmu_lock and
        kvm_arch_post_set_memory_attributes as its handler.
        Locks: slots_lock.
        """
        for entry in self._kvm_memslots(kvm).entries:
            slot = entry.slot
            if slot is not None and slot.base_gfn < end and start < slot.base_gfn + slot.npages:
                with write_lock(kvm.mmu_lock):
                    self.kvm_mmu_invalidate_end(kvm)
                    if self.max_huge_page_level > PG_LEVEL_4K:
                        self.set_lpage_info(kvm, start, end)
                break

    @part_of("kvm_handle_gfn_range")
    def set_lpage_info(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Call the handler for each slot that overlaps.

        Linux: virt/kvm/kvm_main.c kvm_handle_gfn_range(), v7.3.4.
        Locks: slots_lock, mmu_lock for writing.
        """
        for entry in self._kvm_memslots(kvm).entries:
            slot = entry.slot
            if slot is not None and slot.base_gfn < end and start < slot.base_gfn + slot.npages:
                self.post_set_attributes(kvm, slot, start, end)
