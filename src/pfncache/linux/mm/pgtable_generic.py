# SPDX-License-Identifier: GPL-2.0-only
"""mm/pgtable-generic.c: changes of user PTEs."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct


class PgtableGeneric(Mm):
    """The functions of mm/pgtable-generic.c."""

    def ptep_clear_flush(self, mm: MmStruct, number: int) -> None:
        """Make a PTE not present before it is replaced, and flush the TLB. The page keeps its reference and mapcount.

        Linux: mm/pgtable-generic.c ptep_clear_flush(), v7.3.4.
        Locks: the PTE lock.
        """
        self.ptep_get_and_clear(mm, number)
        self.flush_tlb_range(mm, number << self.PAGE_SHIFT, (number + 1) << self.PAGE_SHIFT)

    @atomic
    def ptep_get_and_clear(self, mm: MmStruct, number: int) -> None:
        """Make a PTE not present.

        Linux: arch/x86/include/asm/pgtable.h ptep_get_and_clear(), v7.3.4.
        Locks: the PTE lock.
        """
        self.keep_in_tlb(mm, number)
        mm.ptes[number].pfn = -1
        mm.ptes[number].writable = False

    def pmdp_collapse_flush(self, mm: MmStruct, number: int) -> None:
        """Make the page table of the two pages unreachable, and flush the TLB. The pages keep its references.

        Linux: mm/pgtable-generic.c pmdp_collapse_flush(), v7.3.4.
        Locks: the PMD lock.
        """
        self.pmdp_huge_get_and_clear(mm, number)
        self.flush_tlb_range(mm, number << self.PAGE_SHIFT, (number + 2) << self.PAGE_SHIFT)

    @atomic
    def pmdp_huge_get_and_clear(self, mm: MmStruct, number: int) -> None:
        """Make the page table of the two pages unreachable.

        Linux: arch/x86/include/asm/pgtable.h pmdp_huge_get_and_clear(), v7.3.4.
        Locks: the PMD lock.
        """
        self.keep_in_tlb(mm, number)
        self.keep_in_tlb(mm, number + 1)
        mm.ptes[number].pfn = -1
        mm.ptes[number + 1].pfn = -1
