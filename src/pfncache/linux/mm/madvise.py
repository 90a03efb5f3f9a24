# SPDX-License-Identifier: GPL-2.0-only
"""mm/madvise.c: MADV_DONTNEED, MADV_DONTFORK, MADV_REMOVE and MADV_POPULATE_*."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.fs.open import Open
from pfncache.linux.include.linux.lockdep import mmap_assert_locked, mmap_assert_write_locked
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM
from pfncache.linux.include.uapi.linux.falloc import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from pfncache.linux.kernel.locking.rwsem import down_read, down_write


class Madvise(Open):
    """The functions of mm/madvise.c, one page at a time."""

    @part_of("do_madvise")
    def madvise_dontneed(self, mm: MmStruct, address: Hva, npages: int = 1) -> Errno:
        """Clear the PTEs of pages of one VMA, which stays: madvise(MADV_DONTNEED).

        Linux: mm/madvise.c do_madvise(), madvise_dontneed_single_vma(), v7.3.4.
        Returns: 0, -ENOMEM without a mapping, -EINVAL for VM_PFNMAP.
        Simplified: under mmap_lock instead of the lock of the VMA; see handle_mm_fault().
        """
        with down_read(mm.mmap_lock):
            mmap_assert_locked(mm.mmap_lock)  # find_vma() does, without the lock of the VMA
            vma = mm.vmas[address >> self.PAGE_SHIFT]
            if not vma.present:
                return -ENOMEM
            if vma.pfnmap:
                return -EINVAL
            self.zap_vma_range(mm, address, address + npages * self.PAGE_SIZE)
        return 0

    @part_of("madvise_vma_behavior")
    def madvise_dontfork(self, mm: MmStruct, address: Hva) -> Errno:
        """Leave one page out of the copies that fork() makes: madvise(MADV_DONTFORK).

        Linux: mm/madvise.c madvise_vma_behavior(), v7.3.4.
        Locks: takes mmap_lock for writing.
        Returns: 0, or -ENOMEM without a mapping.
        """
        with down_write(mm.mmap_lock):
            vma = mm.vmas[address >> self.PAGE_SHIFT]
            if not vma.present:
                return -ENOMEM
            mmap_assert_write_locked(mm.mmap_lock)  # vma_start_write() does
            vma.dontcopy = True
        return 0

    def madvise_populate(self, mm: MmStruct, address: Hva, write: bool) -> Errno:
        """Make the PTE of one page present, and writable: madvise(MADV_POPULATE_READ or MADV_POPULATE_WRITE).

        Linux: mm/madvise.c madvise_populate(), mm/gup.c faultin_page_range(), v7.3.4.
        Locks: mmap_lock for reading, which a fault of a file may drop.
        Returns: 0, -ENOMEM without a mapping or memory, -EINVAL where the mapping does not allow the access,
        -EHWPOISON, -EFAULT for SIGBUS.
        """
        while True:
            with down_read(mm.mmap_lock):
                vma = mm.vmas[address >> self.PAGE_SHIFT]
                if not vma.present:
                    return -ENOMEM
                mapping = vma.mapping
                if vma.pfnmap or (mapping is not None and mapping.no_direct_map):
                    return -EINVAL
                if not (vma.writable if write else vma.readable):
                    return -EINVAL
                pte = mm.ptes[address >> self.PAGE_SHIFT]
                if pte.pfn >= 0 and (pte.writable or not write):
                    return 0
                ret = self.handle_mm_fault(mm, address, write)
                if ret != 0:
                    return ret

    def madvise_remove(self, mm: MmStruct, address: Hva) -> Errno:
        """Punch a hole into the file that one page maps: madvise(MADV_REMOVE).

        Linux: mm/madvise.c madvise_remove(), v7.3.4.
        Locks: mmap_lock for reading, which is dropped before fallocate().
        Returns: 0, -ENOMEM without a mapping, -EINVAL for anonymous memory, or the result of fallocate().
        Simplified: a memfd of the model has no struct file, and lives to the end.
        """
        with down_read(mm.mmap_lock):
            vma = mm.vmas[address >> self.PAGE_SHIFT]
            if not vma.present:
                return -ENOMEM
            mapping = vma.mapping
            if mapping is None:
                return -EINVAL
            offset = vma.pgoff << self.PAGE_SHIFT
            for file in self.gmem_files:
                if file.f_mapping is mapping:
                    self.get_file(file)
        for file in self.gmem_files:
            if file.f_mapping is mapping:
                mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
                ret = self.vfs_fallocate(file, mode, offset, self.PAGE_SIZE)
                self.fput(file)
                return ret
        return self.shmem_fallocate(mapping, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, self.PAGE_SIZE)
