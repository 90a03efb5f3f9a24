# SPDX-License-Identifier: GPL-2.0-only
"""mm/vma.c: insertion and removal of VMAs."""

from __future__ import annotations

from pfncache.linux.include.linux.lockdep import mmap_assert_locked, mmap_assert_write_locked
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Vma
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Errno, Hva, Pgoff
from pfncache.linux.kernel.locking.rwsem import down_write


class VmaOps(Mm):
    """The functions of mm/vma.c, one page at a time."""

    def vma_link(self, mm: MmStruct, address: Hva, mapping: AddressSpace | None, pgoff: Pgoff) -> None:
        """Insert a VMA, which takes a reference on its file.

        Linux: mm/vma.c vma_link(), of an mremap, and __mmap_new_vma(), of an mmap, v7.3.4.
        Locks: mmap_lock for writing.
        """
        mmap_assert_write_locked(mm.mmap_lock)
        vma = mm.vmas[address >> self.PAGE_SHIFT]
        vma.mapping = mapping
        vma.pgoff = pgoff
        vma.pfnmap = False
        if vma.uffd_wp:
            vma.uffd_wp = False
        if vma.mergeable:
            vma.mergeable = False
        if vma.dontcopy:
            vma.dontcopy = False
        vma.readable = True
        vma.writable = True
        vma.present = True
        for file in self.gmem_files:
            if mapping is not None and file.f_mapping is mapping:
                self.get_file(file)
        self.vma_link_file(vma)

    def vma_link_file(self, vma: Vma) -> None:
        """Insert a VMA in the tree of its file, where a walk of the mappings finds it.

        Linux: mm/vma.c vma_link_file(), v7.3.4.
        Locks: mmap_lock for writing; takes i_mmap_rwsem for writing.
        """
        mapping = vma.mapping
        if mapping is not None:
            with down_write(mapping.i_mmap_rwsem):
                vma.i_mmap = mapping

    def do_vmi_munmap(self, mm: MmStruct, address: Hva, unlock: bool) -> Errno:
        """Remove the VMA of one page, if there is one.

        Linux: mm/vma.c do_vmi_munmap(), do_vmi_align_munmap(), v7.3.4.
        Locks: mmap_lock for writing, which is dropped if `unlock`.
        Returns: 0.
        """
        mmap_assert_write_locked(mm.mmap_lock)
        vma = mm.vmas[address >> self.PAGE_SHIFT]
        if not vma.present:
            if unlock:
                mm.mmap_lock.unlock()
            return 0
        vma.present = False
        self.vms_complete_munmap_vmas(mm, address, unlock)
        return 0

    def vms_complete_munmap_vmas(self, mm: MmStruct, address: Hva, unlock: bool) -> None:
        """Clear the PTEs of a VMA that is no longer in the tree of VMAs, then free it.

        No task that takes mmap_lock finds the VMA, so munmap() goes on with it for reading.

        Linux: mm/vma.c vms_complete_munmap_vmas(), v7.3.4.
        Locks: mmap_lock for writing, which is downgraded and dropped if `unlock`.
        """
        if unlock:
            mm.mmap_lock.downgrade_write()
        self.unmap_region(mm, address, not unlock)
        self.remove_vma(mm.vmas[address >> self.PAGE_SHIFT])
        if unlock:
            mm.mmap_lock.unlock_shared()

    def unmap_region(self, mm: MmStruct, address: Hva, mm_wr_locked: bool) -> None:
        """Clear the PTEs of a VMA, then take it out of the tree of its file.

        Linux: mm/vma.c vms_clear_ptes(), unmap_region(), v7.3.4.
        Locks: mmap_lock, for writing if `mm_wr_locked`.
        """
        self.zap_vma_range(mm, address, address + self.PAGE_SIZE)
        self.free_pgtables(mm, mm.vmas[address >> self.PAGE_SHIFT], mm_wr_locked)

    def free_pgtables(self, mm: MmStruct, vma: Vma, mm_wr_locked: bool) -> None:
        """Take a VMA out of the tree of its file.

        Linux: mm/memory.c free_pgtables(), mm/vma.c unlink_file_vma_batch_process(), v7.3.4; the assertions of
        include/linux/mmap_lock.h vma_start_write() and mm/rmap.c unlink_anon_vmas().
        Locks: mmap_lock, for writing if `mm_wr_locked`; takes i_mmap_rwsem for writing.
        Simplified: page tables stay.
        """
        if mm_wr_locked:
            mmap_assert_write_locked(mm.mmap_lock)
        else:
            mmap_assert_locked(mm.mmap_lock)
        mapping = vma.mapping
        if mapping is not None:
            with down_write(mapping.i_mmap_rwsem):
                vma.i_mmap = None

    def remove_vma(self, vma: Vma) -> None:
        """Free a VMA, and drop its reference on the file.

        Linux: mm/vma.c remove_vma(), v7.3.4.
        Locks: mmap_lock; may sleep.
        """
        might_sleep()
        mapping = vma.mapping
        for file in self.gmem_files:
            if mapping is not None and file.f_mapping is mapping:
                self.fput(file)
