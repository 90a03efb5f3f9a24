# SPDX-License-Identifier: GPL-2.0-only
"""mm/migrate.c: migration of anonymous pages."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.mm.util import MmUtil


class Migrate(MmUtil):
    """The functions of mm/migrate.c, one page at a time."""

    def migrate_pages(self, mm: MmStruct, address: Hva) -> Errno:
        """Move an anonymous page to another page frame, as compaction or NUMA balancing do.

        Linux: mm/migrate.c migrate_pages(), migrate_folio_unmap(), migrate_folio_move(), v7.3.4.
        Returns: 0, -EAGAIN for a page with another reference, -EFAULT or -ENOMEM.
        Simplified: anonymous pages that one PTE maps; a fault waits for mmap_lock, not for the migration entry.
        """
        number = address >> self.PAGE_SHIFT
        with down_write(mm.mmap_lock):
            pfn = mm.ptes[number].pfn
            if not self.pfn_valid(pfn) or not self.mem_map[pfn].anon:
                return -EFAULT
            new = self.alloc_page()
            if new is None:
                return -ENOMEM
            old = self.mem_map[pfn]
            self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
            with spin_lock(mm.page_table_lock):
                writable = mm.ptes[number].writable
                self.clear_pte(mm, number)
            moved = self.folio_ref_freeze(old)
            if moved:
                new.anon = True
                self.host_copy(pfn, new.pfn)
            with spin_lock(mm.page_table_lock):
                if moved:
                    self.set_pte_range(mm, number, new, writable)
                else:
                    self.set_pte_range(mm, number, old, writable)
            if moved:
                self.put_page(old)
            else:
                self.put_page(new)
            self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)
        return 0 if moved else -EAGAIN

    @atomic
    def folio_ref_freeze(self, page: Page) -> bool:
        """Return whether the migration holds the only reference.

        Linux: include/linux/page_ref.h folio_ref_freeze(), v7.3.4.
        """
        return page.refcount == 1
