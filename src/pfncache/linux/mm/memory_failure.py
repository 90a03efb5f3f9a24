# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory-failure.c: a page with a memory error is poisoned and unmapped."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page
from pfncache.linux.include.linux.types import Hva, Pgoff
from pfncache.linux.kernel.locking.mutex import mutex


class MemoryFailure(Mm):
    """The functions of mm/memory-failure.c."""

    def memory_failure(self, mm: MmStruct, address: Hva, mapping: AddressSpace, index: Pgoff) -> None:
        """Poison a page of a file: mark it, unmap it from user page tables, and notify its owner.

        The reference is kept: a poisoned page is never freed. A page that has failed before is left alone, and one that
        is truncated meanwhile stays poisoned.

        Linux: mm/memory-failure.c memory_failure(), unmap_poisoned_folio(), mm/rmap.c rmap_walk_file(), v7.3.4.
        Locks: takes mf_mutex, the folio lock, i_mmap_rwsem; may sleep.
        Simplified: file pages only, named by file and index; the page stays in the page cache. PTEs become not present
        instead of hwpoison entries: a later fault finds the poisoned page in the page cache, under the folio lock. No
        result, and no signal.
        """
        with mutex(self.mf_mutex):
            page = self.get_hwpoison_page(mapping, index)
            if page is None:
                return
            page.lock.lock()
            if page.mapping is mapping:  # not truncated; a page that is still there keeps the inode
                if page.mapcount > 0:
                    self.unmap_mapping_folio(mapping, index)
                if mapping.gmem:
                    self.kvm_gmem_error_folio(mapping, index)
            page.lock.unlock()

    @atomic
    def get_hwpoison_page(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """Mark the page as poisoned, and take a reference on it; no inode is touched.

        Linux: mm/memory-failure.c get_hwpoison_page(), after memory_failure() has set PG_hwpoison, v7.3.4.
        Returns: the page; None if it is free or was poisoned before.
        Simplified: one step. A page that is freed between the two is poisoned, and never allocated again.
        """
        for page in self.mem_map:
            if page.mapping is mapping and page.index == index and page.refcount > 0:
                if page.hwpoison:
                    return None
                page.hwpoison = True
                page.refcount += 1
                return page
        return None
