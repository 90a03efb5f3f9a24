# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/guest_memfd.c, bindings: which memslot has which page of the file."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import File, GmemFile, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi.linux.errno import EBADF, EEXIST, EINVAL
from pfncache.linux.include.uapi.linux.kvm import GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class GuestMemfdBinding(KvmMm):
    """The functions of virt/kvm/guest_memfd.c that memslot updates call."""

    def kvm_gmem_prepare_memory_region(self, kvm: Kvm, slot: KvmMemorySlot, file: File, pgoff: Pgoff) -> Errno:
        """Check the file for a new slot and store it in the slot; on success the caller owns a reference.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_prepare_memory_region(), v7.3.4 (since 7.3.2: 3fe5d2944e5a).
        Locks: slots_lock.
        Returns: 0, -EBADF for a file that is closed, or -EINVAL.
        """
        if not self.file_ref_get(file):
            return -EBADF
        inode = file.f_mapping
        if not inode.gmem or file.private_data.kvm is not kvm or pgoff + slot.npages > len(inode.i_pages):
            self.fput(file)
            return -EINVAL
        slot.guest_memfd = True
        slot.gmem_file = file
        slot.gmem_pgoff = pgoff
        if inode.gmem_flags & GUEST_MEMFD_FLAG_MMAP != 0:
            slot.gmem_only = True
        return 0

    def kvm_gmem_commit_memory_region(self, kvm: Kvm, slot: KvmMemorySlot) -> Errno:
        """Store the bindings of a new slot: from here on invalidations find it.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_commit_memory_region(), v7.3.4 (since 7.3.2: 3fe5d2944e5a).
        Locks: slots_lock, slots_arch_lock; takes invalidate_lock for writing.
        Returns: 0 or -EEXIST.
        """
        file = slot.gmem_file
        assert file is not None
        f = file.private_data
        start = slot.gmem_pgoff
        end = start + slot.npages
        with down_write(file.f_mapping.invalidate_lock):
            for index in range(len(f.bindings)):
                if start <= index < end and f.bindings[index].slot is not None:
                    return -EEXIST
            for index in range(len(f.bindings)):
                if start <= index < end:
                    f.bindings[index].slot = slot
        return 0

    def kvm_gmem_unbind(self, slot: KvmMemorySlot) -> None:
        """Erase the bindings of a slot that is no longer reachable.

        The guest's mappings are gone by now; pfncaches are not invalidated. The lock is taken for a dying file too
        (since 7.3.2: 1f3359c873db).

        Linux: virt/kvm/guest_memfd.c kvm_gmem_unbind(), v7.3.4.
        Locks: slots_lock, or none for a VM without references; takes invalidate_lock for writing.
        """
        file = slot.gmem_file
        if file is None:
            return
        with down_write(file.f_mapping.invalidate_lock):
            self.erase_bindings(slot, file.private_data)

    @part_of("kvm_gmem_unbind")
    def erase_bindings(self, slot: KvmMemorySlot, f: GmemFile) -> None:
        """Store NULL at every index of the slot, and in the slot's pointer to the file.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_unbind(), v7.3.4.
        Locks: as kvm_gmem_unbind(); invalidate_lock for writing.
        """
        start = slot.gmem_pgoff
        end = start + slot.npages
        for index in range(len(f.bindings)):
            if start <= index < end:
                f.bindings[index].slot = None
        slot.gmem_file = None
