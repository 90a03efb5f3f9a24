# SPDX-License-Identifier: GPL-2.0-only
"""mm/migrate.c: migration of anonymous pages."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOMEM
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.mm.rmap import Rmap
from pfncache.linux.mm.util import MmUtil


class Migrate(Rmap, MmUtil):
    """The functions of mm/migrate.c, one page at a time."""

    def migrate_pages(self, mm: MmStruct, address: Hva) -> Errno:
        """Move the anonymous page at an address to another page frame, as compaction or NUMA balancing do.

        Linux: mm/migrate.c migrate_pages(), migrate_folio_unmap(), v7.3.4.
        Locks: the folio lock of the old page, to the end; not mmap_lock.
        Returns: 0, -EAGAIN for a page that has another reference or was unmapped, -EFAULT or -ENOMEM.
        Simplified: anonymous pages that one process maps, found by address. The new page is not locked: until it is
        mapped, no other task can find it, and afterwards it is not touched.
        """
        pfn = mm.ptes[address >> self.PAGE_SHIFT].pfn
        if not self.pfn_valid(pfn):
            return -EFAULT
        source = self.mem_map[pfn]
        if not self.isolate_folio(source):
            return -EFAULT
        target = self.alloc_page()
        if target is None:
            self.put_page(source)
            return -ENOMEM
        source.lock.lock()
        self.try_to_migrate(mm, source)
        if source.mapcount == 0:
            ret = self.migrate_folio_move(mm, source, target)
        else:
            ret = -EAGAIN
        self.put_page(target)
        source.lock.unlock()
        self.put_page(source)
        return ret

    @part_of("isolate_migratepages_block")
    @atomic
    def isolate_folio(self, page: Page) -> bool:
        """Take a reference on an anonymous page that is about to be moved.

        Linux: mm/compaction.c isolate_migratepages_block(), mm/migrate.c add_folio_for_migration(), v7.3.4.
        """
        if not page.anon or page.refcount <= 0:
            return False
        page.refcount += 1
        return True

    def migrate_folio_move(self, mm: MmStruct, source: Page, target: Page) -> Errno:
        """Copy an unmapped page, and map the copy in its place; no notification is sent.

        Linux: mm/migrate.c migrate_folio_move(), move_to_new_folio(), __migrate_folio(), v7.3.4.
        Locks: the folio lock.
        Returns: 0 or -EAGAIN: the old page is mapped again.
        """
        if not self.has_no_other_reference(source):
            self.remove_migration_ptes(mm, source, source)
            return -EAGAIN
        self.host_copy(source.pfn, target.pfn)
        target.anon = True
        self.remove_migration_ptes(mm, source, target)
        return 0

    @part_of("__migrate_folio")
    @atomic
    def has_no_other_reference(self, page: Page) -> bool:
        """Return whether the migration holds the only reference.

        Linux: mm/migrate.c __migrate_folio(), include/linux/mm.h folio_expected_ref_count(), v7.3.4.
        """
        return page.refcount == 1

    def remove_migration_ptes(self, mm: MmStruct, source: Page, target: Page) -> None:
        """Replace the migration entries of a page by PTEs of the page that it was moved to.

        Linux: mm/migrate.c remove_migration_ptes(), v7.3.4.
        Locks: the folio lock.
        """
        for number in range(len(mm.ptes)):
            if mm.ptes[number].migration == source.pfn:
                with spin_lock(mm.page_table_lock):
                    self.remove_migration_pte(mm, number, source, target)

    @atomic
    def remove_migration_pte(self, mm: MmStruct, number: int, source: Page, target: Page) -> None:
        """Replace a migration entry, if it is still there.

        Linux: mm/migrate.c remove_migration_pte(), v7.3.4.
        Locks: the folio lock, the PTE lock.
        """
        if mm.ptes[number].migration == source.pfn:
            target.refcount += 1
            mm.ptes[number].migration = -1
            self.set_pte_range(mm, number, target, mm.ptes[number].writable)

    @atomic
    def migration_entry_wait(self, mm: MmStruct, number: int) -> None:
        """Wait until the page of a migration entry is unlocked.

        Linux: mm/migrate.c migration_entry_wait(), v7.3.4.
        Locks: mmap_lock for reading; may sleep.
        """
        pfn = mm.ptes[number].migration
        block_until(not self.pfn_valid(pfn) or not self.mem_map[pfn].lock.held)
