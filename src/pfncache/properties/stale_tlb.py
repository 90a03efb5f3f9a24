# SPDX-License-Identifier: GPL-2.0-only
"""A TLB has an entry that the page tables have no more, when a flush is overdue."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.mm_types import Page
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class StaleTlbProbe(Oracle):
    """Checks each page that is freed or moved, and what TLBs have at the end.

    What vmalloc space has lost may be in a TLB at any of these times: it is flushed before an address is used again.
    """

    @atomic
    def trace_page_free(self, page: Page) -> None:
        """Require that no TLB has the page, neither for user space nor for a guest."""
        super().trace_page_free(page)
        for mm in self.mms:
            for pte in mm.ptes:
                if pte.tlb == page.pfn:
                    report("stale-tlb", f"pfn {page.pfn} is freed while a TLB has it for {pte}")
            for kvm in mm.notifiers:
                for spte in kvm.sptes:
                    if spte.tlb == page.pfn:
                        report("stale-tlb", f"pfn {page.pfn} is freed while a TLB of the guest has it for {spte}")

    @atomic
    def trace_page_copy(self, page: Page) -> None:
        """Require that no TLB lets a processor write to the page: the copy would not have what is written."""
        super().trace_page_copy(page)
        for mm in self.mms:
            for pte in mm.ptes:
                if pte.tlb == page.pfn and pte.tlb_writable:
                    report("stale-tlb", f"pfn {page.pfn} is copied while a TLB has it for {pte}, writable")
            for kvm in mm.notifiers:
                for spte in kvm.sptes:
                    if spte.tlb == page.pfn:
                        report("stale-tlb", f"pfn {page.pfn} is copied while a TLB of the guest has it for {spte}")

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that no TLB has anything but what page tables have, vmalloc space aside."""
        super().trace_quiescent(kvm)
        for page in self.mem_map:
            if page.direct_map_tlb:
                report("stale-tlb", f"a TLB has the direct map's address of pfn {page.pfn} when all is done")
        for mm in self.mms:
            for pte in mm.ptes:
                if pte.tlb >= 0:
                    report("stale-tlb", f"a TLB has pfn {pte.tlb} for {pte} when all is done")
        for spte in kvm.sptes:
            if spte.tlb >= 0:
                report("stale-tlb", f"a TLB of the guest has pfn {spte.tlb} for {spte} when all is done")


STALE_TLB = Property(
    "stale-tlb",
    "a page is freed or moved, or all is done, while a TLB has an entry that page tables have no more",
    StaleTlbProbe,
)
