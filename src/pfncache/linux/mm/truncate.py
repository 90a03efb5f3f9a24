# SPDX-License-Identifier: GPL-2.0-only
"""mm/truncate.c: removal of pages from the page cache."""

from __future__ import annotations

from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.types import Pgoff
from pfncache.linux.mm.filemap import Filemap


class Truncate(Filemap):
    """The functions of mm/truncate.c."""

    def truncate_inode_pages_range(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Remove the pages of [start, end) from the cache, after unmapping them from user page tables.

        Linux: mm/truncate.c truncate_inode_pages_range(), truncate_inode_folio(), v7.3.4.
        Locks: may sleep; invalidate_lock for writing, but for an inode that is evicted.
        Simplified: one pass. Linux starts again until it finds no page, because a fault of user space, which takes no
        invalidate_lock, may add one behind it. Such a page is one that was added after the hole was punched.
        """
        for index in range(len(mapping.i_pages)):
            if start <= index < end:
                page = self.filemap_lock_folio(mapping, index)
                if page is not None:
                    self.truncate_inode_folio(mapping, page)
                    self.page_folio(page).lock.unlock()
                    self.put_page(page)

    def truncate_inode_folio(self, mapping: AddressSpace, page: Page) -> None:
        """Remove a page from the cache, after unmapping it from user page tables.

        Linux: mm/truncate.c truncate_inode_folio(), truncate_cleanup_folio(), mm/filemap.c filemap_free_folio(),
        v7.3.4.
        Locks: the folio lock; may sleep.
        """
        if page.mapcount > 0:
            self.unmap_mapping_folio(mapping, page.index)
        self.filemap_remove_folio(mapping, page.index)
        if mapping.gmem:
            self.kvm_gmem_free_folio(page)
        self.put_page(page)
