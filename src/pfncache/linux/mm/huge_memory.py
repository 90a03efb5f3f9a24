# SPDX-License-Identifier: GPL-2.0-only
"""mm/huge_memory.c: transparent huge pages of anonymous memory, two pages of one folio that one PMD maps."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.kernel.locking.spinlock import spin_lock


class HugeMemory(Mm):
    """The functions of mm/huge_memory.c, for kernels with `large_folios`."""

    @part_of("__thp_vma_allowable_orders")
    def allows_huge_pmd(self, mm: MmStruct, number: int) -> bool:
        """Return whether the two pages of a PMD are anonymous memory of one VMA, and nothing is mapped there.

        Linux: mm/huge_memory.c __thp_vma_allowable_orders(), mm/memory.c __handle_mm_fault(), v7.3.4.
        Locks: mmap_lock.
        Simplified: a page table without entries counts as none; one VMA means equal attributes.
        """
        one, other = mm.vmas[number], mm.vmas[number ^ 1]
        if not one.present or not other.present or one.mapping is not None or other.mapping is not None:
            return False
        if one.pfnmap or other.pfnmap or one.writable != other.writable or one.readable != other.readable:
            return False
        return self.is_pmd_none(mm, number)

    @part_of("pmd_none")
    @atomic
    def is_pmd_none(self, mm: MmStruct, number: int) -> bool:
        """Return whether neither page of a PMD has an entry.

        Linux: arch/x86/include/asm/pgtable.h pmd_none(), v7.3.4.
        """
        one, other = mm.ptes[number], mm.ptes[number ^ 1]
        return one.pfn < 0 and one.migration < 0 and other.pfn < 0 and other.migration < 0

    def do_huge_pmd_anonymous_page(self, mm: MmStruct, number: int) -> bool:
        """Map a new large folio by a PMD, unless something is mapped there meanwhile.

        Linux: mm/huge_memory.c do_huge_pmd_anonymous_page(), __do_huge_pmd_anonymous_page(), v7.3.4.
        Locks: mmap_lock for reading.
        Returns: False without memory (VM_FAULT_FALLBACK).
        """
        writable = mm.vmas[number].writable
        folio = self.alloc_large_folio()
        if folio is None:
            return False
        second = self.mem_map[folio.pfn + 1]
        self.clear_highpage(folio)
        self.clear_highpage(second)
        with spin_lock(mm.page_table_lock):
            if self.is_pmd_none(mm, number):
                self.map_anon_folio_pmd_nopf(mm, number & -2, folio, second, writable)
                return True
        self.put_page(folio)
        return True

    @atomic
    def map_anon_folio_pmd_nopf(self, mm: MmStruct, number: int, folio: Page, second: Page, writable: bool) -> None:
        """Make a PMD present that maps a large folio; it takes over the caller's reference.

        Linux: mm/huge_memory.c map_anon_folio_pmd_nopf(), v7.3.4.
        Locks: the PMD lock.
        """
        for page in (folio, second):
            page.anon = True
            page.mapcount += 1
        mm.ptes[number].pfn = folio.pfn
        mm.ptes[number + 1].pfn = second.pfn
        for index in range(2):
            mm.ptes[number + index].writable = writable
            mm.ptes[number + index].prot_none = False
            mm.ptes[number + index].huge = True

    def _split_huge_pmd(self, mm: MmStruct, number: int) -> None:
        """Replace a PMD that maps a folio by a page table, between two notifications of the whole range.

        Linux: mm/huge_memory.c __split_huge_pmd(), v7.3.4.
        Locks: mmap_lock, or that of the reverse mapping.
        """
        start = (number & -2) << self.PAGE_SHIFT
        end = start + 2 * self.PAGE_SIZE
        self.mmu_notifier_invalidate_range_start(mm, start, end)
        with spin_lock(mm.page_table_lock):
            self.split_huge_pmd_locked(mm, number)
        self.mmu_notifier_invalidate_range_end(mm, start, end)

    @atomic
    def split_huge_pmd_locked(self, mm: MmStruct, number: int) -> None:
        """Replace a PMD by a page table, whose entries have a reference each, unless it is gone.

        Linux: mm/huge_memory.c split_huge_pmd_locked(), __split_huge_pmd_locked(), v7.3.4.
        Locks: the PMD lock.
        """
        if mm.ptes[number].huge:
            self.get_page(self.mem_map[mm.ptes[number].pfn])
            mm.ptes[number].huge = False
            mm.ptes[number ^ 1].huge = False

    def zap_huge_pmd(self, mm: MmStruct, number: int) -> bool:
        """Clear a PMD that maps a folio, flush the TLB, and drop the reference.

        Linux: mm/huge_memory.c zap_huge_pmd(), mm/mmu_gather.c tlb_flush_mmu(), v7.3.4.
        Locks: mmap_lock; between mmu_notifier start and end.
        Returns: False if it is split.
        """
        with spin_lock(mm.page_table_lock):
            folio = self.clear_huge_pmd(mm, number)
        if folio is None:
            return False
        self.flush_tlb_range(mm, (number & -2) << self.PAGE_SHIFT, (number | 1) + 1 << self.PAGE_SHIFT)
        self.put_page(folio)
        return True

    @part_of("zap_huge_pmd")
    @atomic
    def clear_huge_pmd(self, mm: MmStruct, number: int) -> Page | None:
        """Make a PMD not present.

        Linux: mm/huge_memory.c zap_huge_pmd(), v7.3.4.
        Locks: the PMD lock.
        Returns: a page of the folio, whose reference the caller takes over.
        """
        if not mm.ptes[number].huge:
            return None
        mm.ptes[number].huge = False
        mm.ptes[number ^ 1].huge = False
        self.clear_pte(mm, number ^ 1)
        return self.clear_pte(mm, number)
