# SPDX-License-Identifier: GPL-2.0-only
"""mm/rmap.c: from a page to the PTEs that map it."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page
from pfncache.linux.kernel.locking.rwsem import down_read
from pfncache.linux.kernel.locking.spinlock import spin_lock


class Rmap(Mm):
    """The functions of mm/rmap.c."""

    def try_to_migrate(self, mm: MmStruct, page: Page) -> None:
        """Replace each PTE that maps a page by a migration entry.

        Linux: mm/rmap.c try_to_migrate(), v7.3.4.
        Locks: the folio lock; not mmap_lock; takes the lock of the anon_vma for reading.
        Simplified: a walk of the page tables instead of the reverse mapping, that of a new process last, as in Linux;
        the anon_vma of both has the lock of the first one.
        """
        with down_read(mm.anon_vma_rwsem):
            for other in self.mms:
                for number in range(len(other.ptes)):
                    if other.ptes[number].pfn == page.pfn:
                        self.try_to_migrate_one(other, number, page)

    @part_of("try_to_migrate")
    def try_to_migrate_file(self, mapping: AddressSpace, page: Page) -> None:
        """Replace each PTE that maps a page of a file by a migration entry.

        Linux: mm/rmap.c try_to_migrate(), rmap_walk_file(), v7.3.4.
        Locks: the folio lock; not mmap_lock; takes i_mmap_rwsem for reading.
        Simplified: a walk of the page tables instead of the tree of mappings.
        """
        with down_read(mapping.i_mmap_rwsem):
            for mm in self.mms:
                for number in range(len(mm.ptes)):
                    if mm.ptes[number].pfn == page.pfn:
                        self.try_to_migrate_one(mm, number, page)

    def try_to_unmap_flush(self, page: Page) -> None:
        """Flush the user addresses at which a page was mapped until it was unmapped to be moved.

        Linux: mm/rmap.c try_to_unmap_flush(), v7.3.4.
        """
        if self.tlbs:
            self.arch_tlbbatch_flush(page)

    def try_to_migrate_one(self, mm: MmStruct, number: int, page: Page) -> None:
        """Replace a PTE by a migration entry between two notifications.

        Linux: mm/rmap.c try_to_migrate_one(), v7.3.4.
        Locks: the folio lock.
        """
        address = number << self.PAGE_SHIFT
        self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
        with spin_lock(mm.page_table_lock):
            mapped = mm.ptes[number].pfn == page.pfn
            if mapped:
                self.set_migration_entry(mm, number, page)
        if mapped:
            self.put_page(page)
        self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)

    @part_of("try_to_migrate_one")
    @atomic
    def set_migration_entry(self, mm: MmStruct, number: int, page: Page) -> None:
        """Replace a PTE by a migration entry, which keeps the permission to write.

        The flush is deferred, as in MIGRATE_ASYNC: until then user space, and the kernel through user addresses, may
        still write to the old page.

        Linux: mm/rmap.c try_to_migrate_one(), set_tlb_ubc_flush_pending(), v7.3.4.
        Locks: the PTE lock.
        Simplified: what finds the flush pending (flush_tlb_batched_pending()) does not do it earlier.
        """
        self.keep_in_tlb(mm, number)
        mm.ptes[number].pfn = -1
        mm.ptes[number].migration = page.pfn
        page.mapcount -= 1

    @atomic
    def folio_remove_rmap_pte(self, page: Page) -> None:
        """Count one PTE less that maps a page.

        Linux: include/linux/rmap.h folio_remove_rmap_pte(), v7.3.4.
        Locks: the PTE lock; other processes may change the count, too.
        """
        page.mapcount -= 1

    @atomic
    def folio_try_dup_anon_rmap_pte(self, page: Page) -> bool:
        """Share an anonymous page with another process, unless it is pinned.

        Linux: include/linux/rmap.h folio_try_dup_anon_rmap_pte(), include/linux/mm.h folio_needs_cow_for_dma(), v7.3.4.
        Locks: the PTE lock, write_protect_seq.
        Returns: False for a page that is pinned. One that is shared already is not that of the pin.
        """
        if page.pincount > 0 and not page.anon_shared:
            return False
        page.anon_shared = True
        page.mapcount += 1
        return True
