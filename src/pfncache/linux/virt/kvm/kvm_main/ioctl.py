# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, the ioctls of a VM, which check what user space passes; for direct execution."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import File, Kvm
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EBADF, EEXIST, EINVAL, ENOENT
from pfncache.linux.include.uapi.linux.kvm import (
    KVM_MEM_GUEST_MEMFD,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
)
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.virt.kvm.guest_memfd.file import GuestMemfdFile
from pfncache.linux.virt.kvm.kvm_main.attributes import MemAttributes
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots


class VmIoctl(Memslots, MemAttributes, GuestMemfdFile):
    """The functions that kvm_vm_ioctl() calls."""

    def check_memory_region_flags(self, kvm: Kvm, flags: int) -> Errno:
        """Check the flags of a memslot; one with guest_memfd has neither dirty logging nor is it read-only.

        Linux: virt/kvm/kvm_main.c check_memory_region_flags(), v7.3.4.
        Returns: 0 or -EINVAL.
        """
        valid = KVM_MEM_GUEST_MEMFD
        if flags & KVM_MEM_GUEST_MEMFD == 0:
            valid |= KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY
        return -EINVAL if flags & ~valid != 0 else 0

    def kvm_vm_ioctl_set_memory_region(
        self, kvm: Kvm, slot_id: int, flags: int, gpa: Gpa, size: int, hva: Hva, gmem: File | None, gmem_offset: int
    ) -> Errno:
        """Handle KVM_SET_USER_MEMORY_REGION2, in bytes. `gmem` is the file of the descriptor, None if that is not open.

        Linux: virt/kvm/kvm_main.c kvm_vm_ioctl_set_memory_region(), kvm_set_memory_region(), v7.3.4.
        Returns: 0, -EINVAL, -EEXIST, -ENOMEM or -EBADF.
        """
        if self.check_memory_region_flags(kvm, flags) != 0:
            return -EINVAL
        if self.offset_in_page(size) != 0 or self.offset_in_page(gpa) != 0 or self.offset_in_page(hva) != 0:
            return -EINVAL
        if slot_id >= len(kvm.sets[0].entries):
            return -EINVAL
        has_gmem = flags & KVM_MEM_GUEST_MEMFD != 0
        if has_gmem and self.offset_in_page(gmem_offset) != 0:
            return -EINVAL
        old = self._kvm_memslots(kvm).entries[slot_id].slot
        if has_gmem and gmem is None and size != 0:
            # The descriptor is looked up last: any other error takes precedence.
            ret = self.check_new_region(kvm, slot_id, gpa, size, hva)
            return ret if ret != 0 or old is not None else -EBADF
        return self.set_memory_region(
            kvm,
            slot_id,
            self.gpa_to_gfn(gpa),
            size >> self.PAGE_SHIFT,
            hva,
            flags & KVM_MEM_LOG_DIRTY_PAGES != 0,
            flags & KVM_MEM_READONLY != 0,
            gmem if has_gmem and size != 0 else None,
            gmem_offset >> self.PAGE_SHIFT,
        )

    @part_of("kvm_set_memory_region")
    def check_new_region(self, kvm: Kvm, slot_id: int, gpa: Gpa, size: int, hva: Hva) -> Errno:
        """Check what is checked of a new slot before its file is looked up.

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), v7.3.4.
        Returns: 0, -EINVAL or -EEXIST.
        """
        slots = self._kvm_memslots(kvm)
        if hva + size > self.PAGE_OFFSET or slots.entries[slot_id].slot is not None:
            return -EINVAL
        gfn = self.gpa_to_gfn(gpa)
        return -EEXIST if self.kvm_check_memslot_overlap(slots, slot_id, gfn, gfn + (size >> self.PAGE_SHIFT)) else 0

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
