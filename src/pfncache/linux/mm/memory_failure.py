# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory-failure.c: a page with a memory error is poisoned and unmapped."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page
from pfncache.linux.include.linux.types import Hva, Pgoff


class MemoryFailure(Mm):
    """The functions of mm/memory-failure.c."""

    def memory_failure(self, mm: MmStruct, address: Hva, mapping: AddressSpace, index: Pgoff) -> None:
        """Poison a page of a file: mark it, unmap it from user page tables, and notify its owner.

        Linux: mm/memory-failure.c memory_failure(), mm/rmap.c rmap_walk_file(), v7.3.4.
        Simplified: file pages only, named by file and index; the page stays in the page cache.
        """
        page = self.get_hwpoison_page(mapping, index)
        if page is None:
            return
        page.lock.lock()
        if page.mapping is not mapping:  # truncated; a page that is still there keeps the inode
            page.lock.unlock()
            self.put_page(page)
            return
        page.hwpoison = True
        if page.mapcount > 0:
            self.unmap_mapping_folio(mapping, index)
        if mapping.gmem:
            self.kvm_gmem_error_folio(mapping, index)
        page.lock.unlock()
        self.put_page(page)

    @atomic
    def get_hwpoison_page(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """Take a reference on the page that has failed, if it is not free; no inode is touched.

        Linux: mm/memory-failure.c get_hwpoison_page(), v7.3.4.
        """
        for page in self.mem_map:
            if page.mapping is mapping and page.index == index and page.refcount > 0:
                page.refcount += 1
                return page
        return None
