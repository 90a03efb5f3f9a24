# SPDX-License-Identifier: GPL-2.0-only
"""mm/shmem.c: the pages of a memfd."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_HWPOISON, Errno, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM, EOPNOTSUPP
from pfncache.linux.include.uapi.linux.falloc import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from pfncache.linux.kernel.locking.rwsem import down_write


class Shmem(Mm):
    """The functions of mm/shmem.c."""

    def shmem_fault(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """Return the page of a memfd, locked and with a reference.

        Linux: mm/shmem.c shmem_fault(), v7.3.4.
        Simplified: with the test of __do_fault() for poisoned memory.
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
        """Punch a hole into a memfd: remove its pages from the page cache.

        Linux: mm/shmem.c shmem_fallocate(), v7.3.4.
        Returns: 0.
        """
        with down_write(mapping.invalidate_lock):
            self.truncate_inode_pages_range(mapping, start, end)
        return 0

    @part_of("shmem_fallocate")
    def allocate_memfd_pages(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """Allocate pages of a memfd in the page cache.

        Linux: mm/shmem.c shmem_fallocate(), v7.3.4.
        Returns: 0 or -ENOMEM.
        """
        for index in range(start, end):
            page = self.filemap_grab_folio(mapping, index)
            if page is None:
                return -ENOMEM
            page.lock.unlock()
            self.put_page(page)
        return 0
