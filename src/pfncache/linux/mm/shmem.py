# SPDX-License-Identifier: GPL-2.0-only
"""mm/shmem.c: the pages of a memfd."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_HWPOISON
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Errno, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM, EOPNOTSUPP
from pfncache.linux.include.uapi.linux.falloc import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from pfncache.linux.kernel.locking.rwsem import down_write


class Shmem(Mm):
    """The functions of mm/shmem.c."""

    def shmem_fault(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """Return the page of a memfd, locked and with a reference.

        Linux: mm/shmem.c shmem_fault(), v7.3.4.
        Simplified: with the test of __do_fault() for poisoned memory, which in Linux also unmaps the page where it is
        mapped, and retries after it has dropped a clean one. do_shared_fault() has called shmem_falloc_wait().
        """
        if index >= len(mapping.i_pages):
            return -1
        page = self.filemap_grab_folio(mapping, index)
        if page is None:
            return KVM_PFN_ERR_FAULT
        if page.hwpoison:
            page.lock.unlock()
            self.put_page(page)
            return KVM_PFN_ERR_HWPOISON
        if not page.uptodate:
            self.clear_highpage(page)
            page.uptodate = True
        return page.pfn

    def shmem_fallocate(self, mapping: AddressSpace, mode: int, offset: int, length: int) -> Errno:
        """Allocate pages of a memfd, or punch a hole.

        Linux: mm/shmem.c shmem_fallocate(), v7.3.4.
        Returns: 0, -EOPNOTSUPP, -EINVAL (growing a file, which the model does not do) or -ENOMEM.
        Simplified: whole pages; a file has the size that it was made with.
        """
        if mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) != 0:
            return -EOPNOTSUPP
        start = offset >> self.PAGE_SHIFT
        end = (offset + length) >> self.PAGE_SHIFT
        if mode & FALLOC_FL_PUNCH_HOLE != 0:
            return self.punch_hole_in_memfd(mapping, start, end)
        if end > len(mapping.i_pages):
            return -EINVAL
        return self.allocate_memfd_pages(mapping, start, end)

    @part_of("shmem_fallocate")
    def punch_hole_in_memfd(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """Punch a hole into a memfd: unmap it, then remove its pages from the page cache. Faults in the hole wait.

        Linux: mm/shmem.c shmem_fallocate(), v7.3.4.
        Locks: takes i_rwsem for writing; no invalidate_lock.
        Returns: 0.
        """
        with down_write(mapping.i_rwsem):
            mapping.i_private.begin(start, end)
            self.unmap_mapping_range(mapping, start, end)
            self.shmem_undo_range(mapping, start, end)
            mapping.i_private.end()
        return 0

    def shmem_undo_range(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Remove the pages of a hole from the page cache, and unmap what was mapped again.

        Linux: mm/shmem.c shmem_undo_range(), v7.3.4.
        Locks: i_rwsem for writing; may sleep.
        Simplified: one pass; the first pass of Linux leaves the pages whose lock is held to the second one.
        """
        for index in range(len(mapping.i_pages)):
            if start <= index < end:
                page = self.filemap_lock_folio(mapping, index)
                if page is not None:
                    self.truncate_inode_folio(mapping, page)
                    page.lock.unlock()
                    self.put_page(page)

    def shmem_falloc_wait(self, mm: MmStruct, mapping: AddressSpace, index: Pgoff) -> bool:
        """Wait, without mmap_lock, for the end of a punch that this fault is in the hole of.

        Linux: mm/shmem.c shmem_falloc_wait(), v7.3.4, called by shmem_fault().
        Locks: mmap_lock for reading, which is dropped and taken again; may sleep.
        Returns: whether the fault has to be repeated.
        Simplified: a second fault of the same access may keep mmap_lock in Linux.
        """
        if not mapping.i_private.has(index):
            return False
        mm.mmap_lock.unlock_shared()
        might_sleep()
        mapping.i_private.wait(index)
        mm.mmap_lock.lock_shared()
        return True

    @part_of("shmem_fallocate")
    def allocate_memfd_pages(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """Allocate pages of a memfd in the page cache.

        Linux: mm/shmem.c shmem_fallocate(), v7.3.4.
        Locks: takes i_rwsem for writing.
        Returns: 0 or -ENOMEM.
        Simplified: pages that were added stay after -ENOMEM, fatal signals are not looked for, and a page that an
        earlier call has left is not zeroed before its first fault.
        """
        with down_write(mapping.i_rwsem):
            for index in range(start, end):
                page = self.filemap_grab_folio(mapping, index)
                if page is None:
                    return -ENOMEM
                page.lock.unlock()
                self.put_page(page)
        return 0
