# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, the ioctls of a VM, which check what user space passes."""

from __future__ import annotations

from typing import NamedTuple

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import File, Kvm
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EBADF, EEXIST, EINVAL, ENOENT, ENOMEM
from pfncache.linux.include.uapi.linux.kvm import (
    KVM_MEM_GUEST_MEMFD,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
)
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.mm.slub import kfree, kzalloc
from pfncache.linux.virt.kvm.guest_memfd.file import GuestMemfdFile
from pfncache.linux.virt.kvm.kvm_main.attributes import MemAttributes
from pfncache.linux.virt.kvm.kvm_main.memory_region import MemoryRegion

U64_MAX = (1 << 64) - 1
MAX_GPA = 1 << 52
"""What a guest can address; less if the processor has fewer address bits (kvm_mmu_max_gfn())."""


class KvmUserspaceMemoryRegion2(NamedTuple):
    """struct kvm_userspace_memory_region2; sizes and offsets in bytes."""

    slot: int
    flags: int
    guest_phys_addr: Gpa
    memory_size: int
    userspace_addr: Hva
    guest_memfd_offset: int
    guest_memfd: File | None
    """The file of the descriptor; None if that is not open."""


class VmIoctl(MemoryRegion, MemAttributes, GuestMemfdFile):
    """The functions that kvm_vm_ioctl() calls."""

    def kvm_vm_ioctl_set_memory_region(self, kvm: Kvm, mem: KvmUserspaceMemoryRegion2) -> Errno:
        """Handle KVM_SET_USER_MEMORY_REGION2.

        Linux: virt/kvm/kvm_main.c kvm_vm_ioctl_set_memory_region(), kvm_set_memory_region(), v7.3.4.
        Returns: 0, -EINVAL, -EEXIST, -ENOMEM or -EBADF.
        Simplified: kvm_arch_prepare_memory_region() has the check against kvm_mmu_max_gfn().
        """
        if self.check_memory_region_flags(kvm, mem.flags) != 0:
            return -EINVAL
        if self.offset_in_page(mem.memory_size) != 0 or self.offset_in_page(mem.guest_phys_addr) != 0:
            return -EINVAL
        if self.offset_in_page(mem.userspace_addr) != 0:
            return -EINVAL
        if mem.slot >= len(kvm.sets[0].entries) or mem.guest_phys_addr + mem.memory_size > U64_MAX:
            return -EINVAL
        has_gmem = mem.flags & KVM_MEM_GUEST_MEMFD != 0
        if has_gmem and self.offset_in_page(mem.guest_memfd_offset) != 0:
            return -EINVAL
        if has_gmem and mem.guest_memfd_offset + mem.memory_size > U64_MAX:
            return -EINVAL
        if has_gmem and mem.guest_memfd is None and mem.memory_size != 0:
            # The descriptor is looked up last: any other error takes precedence.
            with mutex(kvm.slots_lock):
                return self.refuse_new_region(kvm, mem)
        if mem.memory_size != 0 and mem.guest_phys_addr + mem.memory_size > MAX_GPA:
            return -EINVAL
        return self.set_memory_region(
            kvm,
            mem.slot,
            self.gpa_to_gfn(mem.guest_phys_addr),
            mem.memory_size >> self.PAGE_SHIFT,
            mem.userspace_addr,
            mem.flags & KVM_MEM_LOG_DIRTY_PAGES != 0,
            mem.flags & KVM_MEM_READONLY != 0,
            mem.guest_memfd if has_gmem and mem.memory_size != 0 else None,
            mem.guest_memfd_offset >> self.PAGE_SHIFT,
        )

    @part_of("kvm_set_memory_region")
    def refuse_new_region(self, kvm: Kvm, mem: KvmUserspaceMemoryRegion2) -> Errno:
        """Check, and allocate, what is checked and allocated of a new slot before its file is not found.

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), v7.3.4.
        Locks: slots_lock.
        Returns: -EINVAL, -EEXIST, -ENOMEM or -EBADF.
        """
        slots = self._kvm_memslots(kvm)
        if mem.userspace_addr + mem.memory_size > self.PAGE_OFFSET or slots.entries[mem.slot].slot is not None:
            return -EINVAL
        start = self.gpa_to_gfn(mem.guest_phys_addr)
        end = start + (mem.memory_size >> self.PAGE_SHIFT)
        if self.kvm_check_memslot_overlap(slots, mem.slot, start, end):
            return -EEXIST
        new = kzalloc(kvm.slot_cache)
        if new is None:
            return -ENOMEM
        new.id = mem.slot
        new.base_gfn = start
        new.npages = end - start
        new.guest_memfd = True
        new.userspace_addr = mem.userspace_addr
        kfree(new)
        return -EBADF

    def kvm_vm_ioctl_set_mem_attributes(self, kvm: Kvm, gpa: Gpa, size: int, attributes: int) -> Errno:
        """Handle KVM_SET_MEMORY_ATTRIBUTES, in bytes.

        Linux: virt/kvm/kvm_main.c kvm_vm_ioctl_set_mem_attributes(), v7.3.4.
        Returns: 0 or -EINVAL.
        """
        if attributes & ~self.kvm_supported_mem_attributes(kvm) != 0:
            return -EINVAL
        if size == 0 or self.offset_in_page(gpa) != 0 or self.offset_in_page(size) != 0:
            return -EINVAL
        start: Gfn = self.gpa_to_gfn(gpa)
        end: Gfn = start + (size >> self.PAGE_SHIFT)
        return self.set_memory_attributes(kvm, start, end, attributes != 0)

    def kvm_supported_mem_attributes(self, kvm: Kvm) -> int:
        """Return the attributes that a VM supports.

        Linux: virt/kvm/kvm_main.c kvm_supported_mem_attributes(), v7.3.4.
        """
        return KVM_MEMORY_ATTRIBUTE_PRIVATE if self.kvm_arch_has_private_mem(kvm) else 0

    def kvm_vm_ioctl_get_dirty_log(self, kvm: Kvm, slot_id: int) -> Errno:
        """Check that the slot of KVM_GET_DIRTY_LOG has dirty logging; its bits are then read and cleared one by one.

        Linux: virt/kvm/kvm_main.c kvm_vm_ioctl_get_dirty_log(), kvm_get_dirty_log_protect(), v7.3.4.
        Returns: 0, -EINVAL or -ENOENT.
        """
        with mutex(kvm.slots_lock):
            if slot_id >= len(kvm.sets[0].entries):
                return -EINVAL
            slot = self._kvm_memslots(kvm).entries[slot_id].slot
            return 0 if slot is not None and slot.log_dirty else -ENOENT
