# SPDX-License-Identifier: GPL-2.0-only
"""mm/ksm.c: pages of equal contents are merged into one, which is read-only until a write copies it."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.lockdep import mmap_assert_locked, mmap_assert_write_locked
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.types import Errno, Hva, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT, ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.kernel.locking.spinlock import spin_lock


class Ksm(Mm):
    """The functions of mm/ksm.c, for two addresses of one process."""

    @part_of("ksm_madvise")
    def madvise_mergeable(self, mm: MmStruct, address: Hva, mergeable: bool) -> Errno:
        """Allow one page to be merged, or replace it by a copy if it was: MADV_MERGEABLE and MADV_UNMERGEABLE.

        Linux: mm/ksm.c ksm_madvise(), v7.3.4.
        Locks: takes mmap_lock for writing.
        Returns: 0 or -ENOMEM, also without a mapping.
        """
        number = address >> self.PAGE_SHIFT
        with down_write(mm.mmap_lock):
            vma = mm.vmas[number]
            if not vma.present:
                return -ENOMEM
            if vma.mergeable and not mergeable:
                ret = self.break_ksm(mm, number)
                if ret != 0:
                    return ret
            mmap_assert_write_locked(mm.mmap_lock)  # vma_start_write() of madvise_update_vma() does
            if vma.mapping is None and not vma.pfnmap:
                vma.mergeable = mergeable
        return 0

    def try_to_merge_two_pages(self, mm: MmStruct, address: Hva, tree_address: Hva) -> Errno:
        """Make the page of one address a KSM page, and map it at the other address, too.

        Linux: mm/ksm.c try_to_merge_two_pages(), cmp_and_merge_page(), v7.3.4.
        Locks: takes mmap_lock for reading, once for each page; holds a reference on both pages.
        Returns: 0, or -EFAULT if nothing was merged.
        Simplified: the contents of the pages are taken to be equal. The stable tree has no part in this.
        """
        page = self.get_mergeable_page(mm, address >> self.PAGE_SHIFT)
        if page is None:
            return -EFAULT
        tree_page = self.get_mergeable_page(mm, tree_address >> self.PAGE_SHIFT)
        if tree_page is None:
            self.put_page(page)
            return -EFAULT
        ret = self.try_to_merge_with_ksm_page(mm, address >> self.PAGE_SHIFT, page, None)
        if ret == 0:
            ret = self.try_to_merge_with_ksm_page(mm, tree_address >> self.PAGE_SHIFT, tree_page, page)
            if ret != 0:
                self.break_cow(mm, address >> self.PAGE_SHIFT)
        self.put_page(tree_page)
        self.put_page(page)
        return ret

    def get_mergeable_page(self, mm: MmStruct, number: int) -> Page | None:
        """Return the anonymous page of a PTE, with a reference, if its VMA is mergeable.

        Linux: mm/ksm.c get_mergeable_page(), find_mergeable_vma(), v7.3.4.
        Locks: takes mmap_lock for reading.
        """
        with down_read(mm.mmap_lock):
            if not mm.vmas[number].present or not mm.vmas[number].mergeable:
                return None
            with spin_lock(mm.page_table_lock):
                pfn = mm.ptes[number].pfn
                if not self.pfn_valid(pfn) or not self.mem_map[pfn].anon:
                    return None
                self.get_page(self.mem_map[pfn])
            return self.mem_map[pfn]

    def try_to_merge_with_ksm_page(self, mm: MmStruct, number: int, page: Page, kpage: Page | None) -> Errno:
        """Merge a page with a KSM page, or make it one, if its VMA is still mergeable.

        Linux: mm/ksm.c try_to_merge_with_ksm_page(), v7.3.4.
        Locks: takes mmap_lock for reading.
        Returns: 0 or -EFAULT.
        """
        with down_read(mm.mmap_lock):
            if not mm.vmas[number].present or not mm.vmas[number].mergeable:
                return -EFAULT
            return self.try_to_merge_one_page(mm, number, page, kpage)

    def try_to_merge_one_page(self, mm: MmStruct, number: int, page: Page, kpage: Page | None) -> Errno:
        """Take the permission to write a page away, then merge it with a KSM page, or make it one.

        Linux: mm/ksm.c try_to_merge_one_page(), v7.3.4.
        Locks: mmap_lock for reading; tries the folio lock.
        Returns: 0 or -EFAULT.
        """
        if kpage is not None and kpage is page:
            return 0
        if not page.anon or not page.lock.trylock():
            return -EFAULT
        ret = self.write_protect_page(mm, number, page)
        if ret == 0:
            if kpage is None:
                page.ksm = True
            else:
                ret = self.replace_page(mm, number, page, kpage)
        page.lock.unlock()
        return ret

    def write_protect_page(self, mm: MmStruct, number: int, page: Page) -> Errno:
        """Make the PTE of a page read-only, unless something else has a reference on the page.

        The PTE is cleared first, so that GUP-fast cannot take one after the count was read.

        Linux: mm/ksm.c write_protect_page(), v7.3.4.
        Locks: mmap_lock for reading, the folio lock.
        Returns: 0, or -EFAULT: it is another page by now, or has a reference or a pin.
        Simplified: no swap cache, no dirty bit.
        """
        ret: Errno = -EFAULT
        address = number << self.PAGE_SHIFT
        self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
        with spin_lock(mm.page_table_lock):
            if mm.ptes[number].pfn == page.pfn:
                writable = mm.ptes[number].writable
                if page.anon_shared and not writable:
                    ret = 0
                else:
                    self.ptep_clear_flush(mm, number)
                    if self.is_only_mapped(page) and self.folio_try_share_anon_rmap_pte(page):
                        writable = False
                        ret = 0
                    self.set_pte_at(mm, number, page.pfn, writable)
        self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)
        return ret

    @part_of("write_protect_page")
    def is_only_mapped(self, page: Page) -> bool:
        """Return whether page tables and the caller have all references on a page.

        Linux: mm/ksm.c write_protect_page(), v7.3.4.
        Locks: the PTE lock; the PTE is clear.
        """
        return page.mapcount + 1 == page.refcount

    @atomic
    def folio_try_share_anon_rmap_pte(self, page: Page) -> bool:
        """Mark a page as shared, unless it is pinned; return whether it was marked.

        Linux: include/linux/rmap.h folio_try_share_anon_rmap_pte(), v7.3.4.
        Locks: the PTE lock; the PTE is clear.
        """
        if page.pincount > 0:
            return False
        page.anon_shared = True
        return True

    @atomic
    def set_pte_at(self, mm: MmStruct, number: int, pfn: Pfn, writable: bool) -> None:
        """Set a PTE, without a change of references.

        Linux: include/linux/pgtable.h set_pte_at(), v7.3.4.
        Locks: the PTE lock.
        """
        mm.ptes[number].pfn = pfn
        mm.ptes[number].writable = writable

    def replace_page(self, mm: MmStruct, number: int, page: Page, kpage: Page) -> Errno:
        """Map a KSM page instead of a page that is read-only, if the PTE is as write_protect_page() has left it.

        Linux: mm/ksm.c replace_page(), v7.3.4.
        Locks: mmap_lock for reading, the folio lock of the page.
        Returns: 0 or -EFAULT.
        """
        ret: Errno = -EFAULT
        address = number << self.PAGE_SHIFT
        self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
        with spin_lock(mm.page_table_lock):
            if mm.ptes[number].pfn == page.pfn and not mm.ptes[number].writable:
                self.get_page(kpage)
                self.ptep_clear_flush(mm, number)
                self.set_pte_range(mm, number, kpage, False)
                self.folio_remove_rmap_pte(page)
                self.put_page(page)
                ret = 0
        self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)
        return ret

    def break_cow(self, mm: MmStruct, number: int) -> None:
        """Replace a KSM page that nothing was merged with by a copy.

        Linux: mm/ksm.c break_cow(), v7.3.4.
        Locks: takes mmap_lock for reading.
        """
        with down_read(mm.mmap_lock):
            if mm.vmas[number].present and mm.vmas[number].mergeable:
                self.break_ksm(mm, number)

    def break_ksm(self, mm: MmStruct, number: int) -> Errno:
        """Replace a KSM page by a copy, until the PTE has none.

        Linux: mm/ksm.c break_ksm(), break_ksm_pmd_entry(), v7.3.4; mm/memory.c do_wp_page() with FAULT_FLAG_UNSHARE.
        Locks: mmap_lock.
        Returns: 0 or -ENOMEM.
        Simplified: the page has a reference from here on, not from the fault on.
        """
        while True:
            found, page = self.ksm_page_of(mm, number)
            if not found:
                return 0
            if page is None:
                self.migration_entry_wait(mm, number)
                continue
            ret = self.wp_page_copy(mm, number, page, True)
            if ret != 0:
                return ret

    @part_of("break_ksm_pmd_entry")
    def ksm_page_of(self, mm: MmStruct, number: int) -> tuple[bool, Page | None]:
        """Return whether a PTE maps a KSM page, or is the migration entry of one; and the page, with a reference.

        Linux: mm/ksm.c break_ksm_pmd_entry(), v7.3.4.
        Locks: mmap_lock; takes the PTE lock.
        Returns: no page for a migration entry, for whose end the fault waits: a KSM page is one until it is freed.
        """
        mmap_assert_locked(mm.mmap_lock)  # walk_page_range_vma() does
        with spin_lock(mm.page_table_lock):
            pfn = mm.ptes[number].pfn
            migrated = mm.ptes[number].migration
            if self.pfn_valid(migrated):
                return self.mem_map[migrated].ksm, None
            if not self.pfn_valid(pfn) or not self.mem_map[pfn].ksm:
                return False, None
            self.get_page(self.mem_map[pfn])
            return True, self.mem_map[pfn]
