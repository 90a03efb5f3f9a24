# SPDX-License-Identifier: GPL-2.0-only
"""mm/khugepaged.c: neighbouring pages of anonymous memory are replaced by a large folio, two pages here (mTHP)."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.types import Errno, Hva, Pfn
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EINVAL, ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.mm.util import MmUtil


class Khugepaged(MmUtil):
    """The functions of mm/khugepaged.c for anonymous memory."""

    def collapse_huge_page(self, mm: MmStruct, address: Hva) -> Errno:
        """Replace the pages of two neighbouring addresses by a large folio of two pages.

        The invalidation ends before the old pages are copied: mmap_lock keeps faults out, and GUP-fast finds no PMD.

        Linux: mm/khugepaged.c collapse_huge_page(), alloc_charge_folio(), hugepage_vma_revalidate(), v7.3.4.
        Locks: takes mmap_lock for reading, then for writing, and the lock of the anon_vma for writing, to the end.
        Returns: 0, -ENOMEM, -EINVAL for another kind of memory, -EAGAIN for a page that has another reference or is
        locked.
        Simplified: without `large_folios`, the two pages need not be neighbours, and each has its own reference count
        and lock. No swap; no page is missing (max_ptes_none of 0).
        """
        if self.large_folios:
            return self.collapse_pmd(mm, address)
        first = self.alloc_page()
        if first is None:
            return -ENOMEM
        second = self.alloc_page()
        if second is None:
            self.put_page(first)
            return -ENOMEM
        number = address >> self.PAGE_SHIFT
        with down_read(mm.mmap_lock):
            ret = self.hugepage_vma_revalidate(mm, number)
        if ret == 0:
            with down_write(mm.mmap_lock):
                ret = self.hugepage_vma_revalidate(mm, number)
                if ret == 0:
                    with down_write(mm.anon_vma_rwsem):
                        ret = self.collapse_range(mm, number, first, second)
        if ret != 0:
            self.put_page(first)
            self.put_page(second)
        return ret

    @part_of("collapse_huge_page")
    def collapse_pmd(self, mm: MmStruct, address: Hva) -> Errno:
        """Replace the two pages of a PMD by a large folio, which it maps.

        Linux: mm/khugepaged.c collapse_huge_page(), v7.3.4.
        Locks: as collapse_huge_page().
        Returns: as collapse_huge_page().
        Simplified: pages of large folios are left alone.
        """
        first = self.alloc_large_folio()
        if first is None:
            return -ENOMEM
        number = (address >> self.PAGE_SHIFT) & -2
        with down_read(mm.mmap_lock):
            ret = self.hugepage_vma_revalidate(mm, number)
        if ret == 0:
            with down_write(mm.mmap_lock):
                ret = self.hugepage_vma_revalidate(mm, number)
                if ret == 0:
                    with down_write(mm.anon_vma_rwsem):
                        ret = self.collapse_range(mm, number, first, self.mem_map[first.pfn + 1])
        if ret != 0:
            self.put_page(first)
        return ret

    def hugepage_vma_revalidate(self, mm: MmStruct, number: int) -> Errno:
        """Return -EINVAL unless both pages are anonymous memory of one VMA.

        Linux: mm/khugepaged.c hugepage_vma_revalidate(), v7.3.4.
        Locks: mmap_lock.
        Simplified: one VMA means equal attributes.
        """
        one, other = mm.vmas[number], mm.vmas[number + 1]
        if not one.present or not other.present or one.mapping is not None or other.mapping is not None:
            return -EINVAL
        if one.pfnmap or other.pfnmap or one.writable != other.writable or one.readable != other.readable:
            return -EINVAL
        return 0

    @part_of("collapse_huge_page")
    def collapse_range(self, mm: MmStruct, number: int, first: Page, second: Page) -> Errno:
        """Take the page table away between two notifications, copy, and install the new pages.

        Linux: mm/khugepaged.c collapse_huge_page(), v7.3.4.
        Locks: mmap_lock and the lock of the anon_vma for writing.
        Returns: 0 or -EAGAIN.
        """
        start = number << self.PAGE_SHIFT
        end = start + 2 * self.PAGE_SIZE
        self.mmu_notifier_invalidate_range_start(mm, start, end)
        with spin_lock(mm.page_table_lock):
            one, other = mm.ptes[number].pfn, mm.ptes[number + 1].pfn
            self.pmdp_collapse_flush(mm, number)
        self.mmu_notifier_invalidate_range_end(mm, start, end)
        with spin_lock(mm.page_table_lock):
            isolated = self._collapse_huge_page_isolate(mm, number, one, other)
        if not isolated:
            with spin_lock(mm.page_table_lock):
                self.pmd_populate(mm, number, one, other)
            return -EAGAIN
        self._collapse_huge_page_copy(mm, one, first)
        self._collapse_huge_page_copy(mm, other, second)
        with spin_lock(mm.page_table_lock):
            self.install_folio(mm, number, first, second)
        return 0

    @atomic
    def pmd_populate(self, mm: MmStruct, number: int, one: Pfn, other: Pfn) -> None:
        """Make the old page table reachable again.

        Linux: arch/x86/include/asm/pgalloc.h pmd_populate(), v7.3.4.
        Locks: the PMD lock.
        """
        mm.ptes[number].pfn = one
        mm.ptes[number + 1].pfn = other

    def _collapse_huge_page_isolate(self, mm: MmStruct, number: int, one: Pfn, other: Pfn) -> bool:
        """Lock both pages, if both are present and only the page table has references.

        Linux: mm/khugepaged.c __collapse_huge_page_isolate(), release_pte_pages(), v7.3.4.
        Locks: mmap_lock for writing, the PTE lock.
        Returns: whether both are locked; otherwise neither is.
        """
        if not self.pfn_valid(one) or not self.pfn_valid(other):
            return False
        if mm.ptes[number].uffd_wp or mm.ptes[number + 1].uffd_wp:
            return False
        if mm.ptes[number].prot_none or mm.ptes[number + 1].prot_none:
            return False
        if not self.isolate_page(self.mem_map[one]):
            return False
        if not self.isolate_page(self.mem_map[other]):
            self.mem_map[one].lock.unlock()
            return False
        return True

    @part_of("__collapse_huge_page_isolate")
    def isolate_page(self, page: Page) -> bool:
        """Lock a page, if its only reference is the page table's.

        Linux: mm/khugepaged.c __collapse_huge_page_isolate(), v7.3.4.
        Locks: the PTE lock.
        """
        if not page.lock.trylock():
            return False
        if page.refcount != 1 or (self.large_folios and page.compound):
            page.lock.unlock()
            return False
        return True

    def _collapse_huge_page_copy(self, mm: MmStruct, pfn: Pfn, target: Page) -> None:
        """Copy one page, and drop the old one.

        Linux: mm/khugepaged.c __collapse_huge_page_copy(), __collapse_huge_page_copy_succeeded(), v7.3.4.
        Locks: mmap_lock for writing, the folio lock of the old page, which is dropped.
        """
        page = self.mem_map[pfn]
        self.folio_mc_copy(target, page)
        target.anon = True
        page.lock.unlock()
        with spin_lock(mm.page_table_lock):
            page.mapcount -= 1
        self.put_page(page)

    @part_of("collapse_huge_page")
    @atomic
    def install_folio(self, mm: MmStruct, number: int, first: Page, second: Page) -> None:
        """Make the page table reachable again, with the new pages, whose references it takes over.

        Linux: mm/khugepaged.c collapse_huge_page(), mm/memory.c map_anon_folio_pte_nopf(), v7.3.4.
        Locks: the PMD lock, the PTE lock.
        """
        if self.large_folios:
            self.map_anon_folio_pmd_nopf(mm, number, first, second, mm.vmas[number].writable)
            return
        first.mapcount += 1
        second.mapcount += 1
        mm.ptes[number].pfn = first.pfn
        mm.ptes[number + 1].pfn = second.pfn
