# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/mm/tlb.c: what TLBs have of user space and of the kernel that page tables have no more, until a flush."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of_caller
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.types import Hva, Kva


class Tlb(Mm):
    """Flushes, for kernels with `tlbs`.

    A TLB may have any entry that a page table has had, since the processor loads it when it likes. So an entry comes
    to be when the page table loses it.
    """

    @part_of_caller
    def keep_in_tlb(self, mm: MmStruct, number: int) -> None:
        """Let a TLB have what a user PTE maps, which is about to change.

        Linux: nothing; the processor.
        Locks: the PTE lock.
        """
        if self.tlbs:
            self.load_tlb(mm, number)

    @part_of_caller
    @atomic
    def load_tlb(self, mm: MmStruct, number: int) -> None:
        """Let a TLB have what a user PTE maps. Of two pages that were there since the last flush, it has the first.

        Linux: nothing; the processor.
        """
        pte = mm.ptes[number]
        if pte.pfn >= 0 and not pte.prot_none:
            if pte.tlb < 0:
                pte.tlb = pte.pfn
                pte.tlb_writable = pte.writable
            elif pte.tlb == pte.pfn and pte.writable:
                pte.tlb_writable = True

    def flush_tlb_range(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Flush user addresses [start, end) from every TLB, and wait for it.

        Linux: arch/x86/include/asm/tlbflush.h flush_tlb_range(), flush_tlb_page(), flush_tlb_mm(), v7.3.4.
        Locks: may be the PTE lock.
        """
        if self.tlbs:
            self.flush_tlb_mm_range(mm, start, end)

    @atomic
    def flush_tlb_mm_range(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Flush user addresses [start, end) from every TLB.

        Linux: arch/x86/mm/tlb.c flush_tlb_mm_range(), v7.3.4.
        Simplified: one step, at which the last CPU has flushed.
        """
        for number in range(len(mm.ptes)):
            if start <= number << self.PAGE_SHIFT < end:
                mm.ptes[number].tlb = -1
                mm.ptes[number].tlb_writable = False

    @atomic
    def arch_tlbbatch_flush(self, page: Page) -> None:
        """Flush the user addresses at which a page was mapped.

        Linux: arch/x86/mm/tlb.c arch_tlbbatch_flush(), v7.3.4.
        Simplified: not all of the TLB of each CPU, of which nothing depends.
        """
        for mm in self.mms:
            for number in range(len(mm.ptes)):
                if mm.ptes[number].tlb == page.pfn:
                    mm.ptes[number].tlb = -1
                    mm.ptes[number].tlb_writable = False

    def flush_tlb_kernel_range(self, start: Kva, end: Kva) -> None:
        """Flush kernel addresses [start, end) from every TLB, and wait for it.

        Linux: arch/x86/mm/tlb.c flush_tlb_kernel_range(), v7.3.4.
        Locks: may sleep; interrupts on.
        """
        if self.tlbs:
            self.kernel_tlb_flush_range(start, end)

    @atomic
    def kernel_tlb_flush_range(self, start: Kva, end: Kva) -> None:
        """Flush kernel addresses [start, end), in the direct map and vmalloc space.

        Linux: arch/x86/mm/tlb.c kernel_tlb_flush_range(), v7.3.4.
        """
        for page in self.mem_map:
            if start <= self.PAGE_OFFSET + (page.pfn << self.PAGE_SHIFT) < end:
                page.direct_map_tlb = False
        for number in range(len(self.vmap_areas)):
            if start <= self.VMALLOC_START + (number << self.PAGE_SHIFT) < end:
                self.vmap_areas[number].tlb = -1
