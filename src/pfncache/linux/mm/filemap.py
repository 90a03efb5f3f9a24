# SPDX-License-Identifier: GPL-2.0-only
"""mm/filemap.c: the page cache of a file."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page
from pfncache.linux.include.linux.types import Pgoff


class Filemap(Mm):
    """The page cache. The folio lock of a cached page serializes truncation and faults."""

    @atomic
    def filemap_get_entry(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """Find a cached page and take a reference.

        Linux: mm/filemap.c filemap_get_entry(), v7.3.4.
        Simplified: one step; Linux takes the reference under RCU, then checks that the page is still cached.
        """
        page = mapping.i_pages[index].page
        if page is not None:
            self.page_folio(page).refcount += 1
        return page

    @atomic
    def filemap_add_folio(self, mapping: AddressSpace, index: Pgoff, page: Page) -> bool:
        """Add a new page to the cache unless the cache has one.

        Linux: mm/filemap.c filemap_add_folio(), v7.3.4.
        Returns: whether the page was added; the cache then has a reference.
        """
        if mapping.i_pages[index].page is not None:
            return False
        mapping.i_pages[index].page = page
        page.mapping = mapping
        page.index = index
        page.refcount += 1
        return True

    def filemap_lock_folio(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """Return the cached page, locked; repeat the lookup if the page was removed before the lock was taken.

        Linux: include/linux/pagemap.h filemap_lock_folio(), mm/filemap.c __filemap_get_folio_mpol(), v7.3.4.
        Locks: may sleep.
        """
        while True:
            page = self.filemap_get_entry(mapping, index)
            if page is None:
                return None
            self.page_folio(page).lock.lock()
            if page.mapping is mapping:
                return page
            self.page_folio(page).lock.unlock()
            self.put_page(page)

    def filemap_grab_folio(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """Return the cached page, or a new one, locked.

        Linux: include/linux/pagemap.h filemap_grab_folio(), mm/filemap.c __filemap_get_folio_mpol(), v7.3.4.
        Locks: may sleep.
        Returns: None when no page is free.
        """
        while True:
            page = self.filemap_lock_folio(mapping, index)
            if page is not None:
                return page
            new = self.alloc_page()
            if new is None:
                return None
            new.lock.lock()
            if self.filemap_add_folio(mapping, index, new):
                return new
            new.lock.unlock()
            self.put_page(new)

    @atomic
    def softleaf_entry_wait_on_locked(self, mm: MmStruct, number: int) -> None:
        """Wait until the page of a migration entry is unlocked, without a reference on it.

        Linux: mm/filemap.c softleaf_entry_wait_on_locked(), v7.3.4.
        """
        pfn = mm.ptes[number].migration
        block_until(not self.pfn_valid(pfn) or not self.mem_map[pfn].lock.held)

    @atomic
    def filemap_remove_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Remove a page from the cache; the caller takes over the cache's reference.

        Linux: mm/filemap.c filemap_remove_folio(), __filemap_remove_folio(), filemap_unaccount_folio(), v7.3.4.
        Locks: the folio lock.
        """
        page = mapping.i_pages[index].page
        assert page is not None
        if page.mapcount != 0:
            report("bad-page", f"{page} leaves the page cache, but {page.mapcount} user PTEs map it")
        mapping.i_pages[index].page = None
        page.mapping = None
