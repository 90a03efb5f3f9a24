# SPDX-License-Identifier: GPL-2.0-only
"""mm/shmem.c: fallocate() of a memfd; for direct execution."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM, EOPNOTSUPP
from pfncache.linux.mm.mmap import Mmap
from pfncache.linux.virt.kvm.guest_memfd.file import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE


class Shmem(Mmap):
    """The functions of mm/shmem.c that are called through a file descriptor."""

    def shmem_fallocate(self, mapping: AddressSpace, mode: int, offset: int, length: int) -> Errno:
        """fallocate() of a memfd.

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
    def allocate_memfd_pages(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """Bring pages of a memfd into the cache.

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
