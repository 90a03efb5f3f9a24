# SPDX-License-Identifier: GPL-2.0-only
"""mm/truncate.c: removal of pages from the page cache."""

from __future__ import annotations

from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Pgoff
from pfncache.linux.kernel.locking.rwsem import down_read
from pfncache.linux.mm.filemap import Filemap


class Truncate(Filemap):
    """The functions of mm/truncate.c."""

    def truncate_inode_pages_range(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Remove the pages of [start, end) from the cache, after unmapping them from user page tables.

        Linux: mm/truncate.c truncate_inode_pages_range(), truncate_inode_folio(), v7.3.4.
        Locks: invalidate_lock for writing; may sleep.
        Simplified: one pass. Linux starts again until it finds no page, because a fault of user space, which takes no
        invalidate_lock, may add one behind it. Such a page is one that was added after the hole was punched.
        """
        for index in range(len(mapping.i_pages)):
            if start <= index < end:
                page = self.filemap_lock_folio(mapping, index)
                if page is not None:
                    if page.mapcount > 0:
                        with down_read(mapping.i_mmap_rwsem):
                            self.unmap_mapping_folio(mapping, index)
                    self.filemap_remove_folio(mapping, index)
                    if mapping.gmem:
                        self.kvm_gmem_free_folio(page)
                    self.put_page(page)
                    page.lock.unlock()
                    self.put_page(page)
