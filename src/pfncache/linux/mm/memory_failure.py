# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory-failure.c: a page with a memory error is poisoned and unmapped."""

from __future__ import annotations

from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct
from pfncache.linux.include.linux.types import Hva, Pgoff
from pfncache.linux.kernel.locking.rwsem import down_read


class MemoryFailure(Mm):
    """The functions of mm/memory-failure.c."""

    def memory_failure(self, mm: MmStruct, address: Hva, mapping: AddressSpace, index: Pgoff) -> None:
        """Poison a page of a file: mark it, unmap it from user page tables, and notify its owner.

        Linux: mm/memory-failure.c memory_failure(), mm/rmap.c rmap_walk_file(), v7.3.4.
        Simplified: file pages only; the page stays in the page cache.
        """
        page = self.filemap_lock_folio(mapping, index)
        if page is None:
            return
        page.hwpoison = True
        if page.mapcount > 0:
            with down_read(mapping.i_mmap_rwsem):
                self.unmap_mapping_folio(mapping, index)
        if mapping.gmem:
            self.kvm_gmem_error_folio(mapping, index)
        page.lock.unlock()
        self.put_page(page)
