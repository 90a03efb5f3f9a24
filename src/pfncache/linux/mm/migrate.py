# SPDX-License-Identifier: GPL-2.0-only
"""mm/migrate.c: migration of pages, anonymous ones and those of files."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Errno, Hva, Pgoff
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOMEM, EOPNOTSUPP
from pfncache.linux.kernel.locking.rwsem import down_read
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
        Simplified: anonymous pages, found by address. The new page is not locked: until it is
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
        self.try_to_unmap_flush(source)
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
        """Take a reference on an anonymous page that is about to be moved. Pages of large folios stay where they are.

        Linux: mm/compaction.c isolate_migratepages_block(), mm/migrate.c add_folio_for_migration(), v7.3.4.
        """
        if not page.anon or page.refcount <= 0 or (self.large_folios and page.compound):
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
        self.folio_mc_copy(target, source)
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

    @part_of("migrate_pages")
    def migrate_file_page(self, mapping: AddressSpace, index: Pgoff) -> Errno:
        """Move a page of a file to another page frame, as compaction or NUMA balancing do.

        Linux: mm/migrate.c migrate_pages(), migrate_folio_unmap(), v7.3.4.
        Locks: the folio locks of both pages, to the end; not mmap_lock.
        Returns: 0, -EAGAIN for a page that has another reference or was truncated, -EFAULT without a page, -ENOMEM, or
        -EOPNOTSUPP for guest_memfd.
        Simplified: pages found by file and index. guest_memfd's are not isolated by compaction to begin with; here they
        are unmapped, and mapped again, as by move_pages().
        """
        source = self.isolate_file_folio(mapping, index)
        if source is None:
            return -EFAULT
        target = self.alloc_page()
        if target is None:
            self.put_page(source)
            return -ENOMEM
        source.lock.lock()
        target.lock.trylock()  # nothing has the new page yet
        ret: Errno = -EAGAIN
        if source.mapping is mapping:
            if source.mapcount > 0:
                self.try_to_migrate_file(mapping, source)
                self.try_to_unmap_flush(source)
            if source.mapcount == 0:
                ret = self.move_to_new_folio(mapping, index, target, source)
                self.remove_file_migration_ptes(mapping, source, target if ret == 0 else source)
        target.lock.unlock()
        self.put_page(target)
        source.lock.unlock()
        self.put_page(source)
        return ret

    @part_of("isolate_migratepages_block")
    @atomic
    def isolate_file_folio(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """Take a reference on a page of a file that is about to be moved; no inode is touched.

        Linux: mm/compaction.c isolate_migratepages_block(), mm/migrate.c add_folio_for_migration(), v7.3.4.
        """
        for page in self.mem_map:
            if page.mapping is mapping and page.index == index and not page.anon and page.refcount > 0:
                page.refcount += 1
                return page
        return None

    def move_to_new_folio(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> Errno:
        """Move an unmapped page of a file to a new page, by the file's method; guest_memfd's mapping is inaccessible.

        Linux: mm/migrate.c move_to_new_folio(), virt/kvm/guest_memfd.c kvm_gmem_migrate_folio(), v7.3.4.
        Locks: the folio locks.
        Returns: 0, -EAGAIN or -EOPNOTSUPP.
        """
        if mapping.gmem:
            return -EOPNOTSUPP
        return self.migrate_folio(mapping, index, target, source)

    def migrate_folio(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> Errno:
        """Copy a page, then replace it in the page cache unless it has a reference that is not expected.

        Linux: mm/migrate.c migrate_folio(), __migrate_folio(), v7.3.4.
        Locks: the folio locks.
        Returns: 0 or -EAGAIN.
        """
        if source.refcount != 2:
            return -EAGAIN
        self.folio_mc_copy(target, source)
        return 0 if self.folio_migrate_mapping(mapping, index, target, source) else -EAGAIN

    @atomic
    def folio_migrate_mapping(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> bool:
        """Replace a page in the page cache if only the cache and the migration have references.

        Linux: mm/migrate.c folio_migrate_mapping(), __folio_migrate_mapping(), folio_migrate_flags(), v7.3.4.
        Locks: the folio locks.
        Returns: whether it was replaced; the old page has lost the cache's reference then.
        Simplified: one step. Linux freezes the count in between, so that nothing takes a reference.
        """
        if source.refcount != 2:
            return False
        mapping.i_pages[index].page = target
        target.mapping = mapping
        target.index = index
        target.uptodate = source.uptodate
        target.refcount += 1
        source.mapping = None
        source.refcount -= 1
        return True

    @part_of("remove_migration_ptes")
    def remove_file_migration_ptes(self, mapping: AddressSpace, source: Page, target: Page) -> None:
        """Replace the migration entries of a page of a file by PTEs of the page that it was moved to.

        Linux: mm/migrate.c remove_migration_ptes(), v7.3.4.
        Locks: the folio lock; takes i_mmap_rwsem for reading.
        """
        with down_read(mapping.i_mmap_rwsem):
            for mm in self.mms:
                for number in range(len(mm.ptes)):
                    if mm.ptes[number].migration == source.pfn:
                        with spin_lock(mm.page_table_lock):
                            self.remove_migration_pte(mm, number, source, target)

    def remove_migration_ptes(self, mm: MmStruct, source: Page, target: Page) -> None:
        """Replace the migration entries of a page by PTEs of the page that it was moved to.

        Linux: mm/migrate.c remove_migration_ptes(), v7.3.4.
        Locks: the folio lock; takes the lock of the anon_vma for reading.
        """
        with down_read(mm.anon_vma_rwsem):
            for other in self.mms:
                for number in range(len(other.ptes)):
                    if other.ptes[number].migration == source.pfn:
                        with spin_lock(other.page_table_lock):
                            self.remove_migration_pte(other, number, source, target)

    @atomic
    def remove_migration_pte(self, mm: MmStruct, number: int, source: Page, target: Page) -> None:
        """Replace a migration entry, if it is still there.

        Linux: mm/migrate.c remove_migration_pte(), v7.3.4.
        Locks: the folio lock, the PTE lock.
        """
        if mm.ptes[number].migration == source.pfn:
            target.refcount += 1
            if source.anon_shared and not target.anon_shared:
                target.anon_shared = True
            if source.ksm and not target.ksm:
                target.ksm = True
            mm.ptes[number].migration = -1
            prot_none = mm.ptes[number].prot_none
            self.set_pte_range(mm, number, target, mm.ptes[number].writable)
            mm.ptes[number].prot_none = prot_none

    def migration_entry_wait(self, mm: MmStruct, number: int) -> None:
        """Wait until the page of a migration entry is unlocked.

        Linux: mm/migrate.c migration_entry_wait(), v7.3.4.
        Locks: mmap_lock for reading; may sleep.
        """
        might_sleep()
        self.softleaf_entry_wait_on_locked(mm, number)
