# SPDX-License-Identifier: GPL-2.0-only
"""Balance of counters, page references, user mappings and kernel mappings."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.mm.slub import is_live
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class CounterProbe(Oracle):
    """Checks the state in which every operation has ended."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that no invalidation is in progress; a VM that was destroyed in between is exempt."""
        super().trace_quiescent(kvm)
        if kvm.users_count == 0:
            return
        if kvm.mn_active_invalidate_count != 0:
            report(
                "counter-imbalance", f"mn_active_invalidate_count is {kvm.mn_active_invalidate_count} when all is done"
            )
        if kvm.mmu_invalidate_in_progress != 0:
            report(
                "counter-imbalance", f"mmu_invalidate_in_progress is {kvm.mmu_invalidate_in_progress} when all is done"
            )


class ReferenceProbe(Oracle):
    """Checks the state in which every operation has ended."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that a page has one reference for each PTE and page cache entry, and one if it is poisoned."""
        super().trace_quiescent(kvm)
        for page in self.mem_map:
            held = self.references(page)
            if self.large_folios and page.compound:
                # The first page has the references of both; a PMD has one for both.
                held = self.folio_references(page) if page.pfn & 1 == 0 else 0
            if page.refcount != held:
                report(
                    "refcount-imbalance", f"{page} has {page.refcount} references when all is done, but {held} holders"
                )

    def folio_references(self, head: Page) -> int:
        """Count the holders of a folio of two pages."""
        held = self.references(head) + self.references(self.mem_map[head.pfn + 1])
        for mm in self.mms:
            for pte in mm.ptes:
                if pte.pfn == head.pfn and pte.huge:
                    held -= 1
        return held

    def references(self, page: Page) -> int:
        """Count the PTEs and page cache entries that hold the page; memory_failure() keeps what it has poisoned."""
        held = int(page.hwpoison)
        for mm in self.mms:
            for pte in mm.ptes:
                if pte.pfn == page.pfn:
                    held += 1
        for mapping in self.mappings:
            if is_live(mapping):
                for entry in mapping.i_pages:
                    if entry.page is page:
                        held += 1
        return held


class RssProbe(Oracle):
    """Checks the state in which every operation has ended."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that each page that a process maps belongs to its VMA there; no other path would unmap it."""
        super().trace_quiescent(kvm)
        for mm in self.mms:
            for number in range(len(mm.ptes)):
                pfn = mm.ptes[number].pfn
                vma = mm.vmas[number]
                if pfn != -1 and not vma.present:
                    report("bad-rss", f"{mm.ptes[number]} maps pfn {pfn} when all is done, in no VMA")
                if pfn != -1 and mm.ptes[number].writable and not vma.writable:
                    report("bad-rss", f"{mm.ptes[number]} is writable when all is done, but {vma} is not")
                if mm.ptes[number].writable and mm.ptes[number].uffd_wp:
                    report("bad-rss", f"{mm.ptes[number]} is writable when all is done, but a userfaultfd protects it")
                if self.pfn_valid(pfn) and self.mem_map[pfn].ksm and not vma.mergeable:
                    report("bad-rss", f"{mm.ptes[number]} maps a KSM page when all is done, but {vma} is not mergeable")
                if self.pfn_valid(pfn) and not vma.pfnmap:
                    page = self.mem_map[pfn]
                    if page.anon != (vma.mapping is None) or page.mapping is not vma.mapping:
                        report("bad-rss", f"{mm.ptes[number]} maps pfn {pfn} when all is done, which is not {vma}'s")


class MappingProbe(Oracle):
    """Checks the state in which every operation has ended."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that every vmap() and memremap() belongs to exactly one cache."""
        super().trace_quiescent(kvm)
        for index in range(len(self.vmap_areas)):
            area = self.vmap_areas[index]
            owners = 0
            for gpc in kvm.gpcs:
                if self.PAGE_ALIGN_DOWN(gpc.khva) == self.VMALLOC_START + (index << self.PAGE_SHIFT):
                    owners += 1
            if area.busy and owners == 0:
                report(
                    "map-imbalance",
                    f"{area} still maps pfn {area.pfn} when all is done, but no cache has it: never unmapped",
                )
            if owners > int(area.busy):
                report(
                    "map-imbalance",
                    f"{owners} caches have {area} when all is done, which is {'once' if area.busy else 'not'} mapped",
                )


COUNTER_IMBALANCE = Property(
    "counter-imbalance",
    "mn_active_invalidate_count or mmu_invalidate_in_progress is not zero when every operation has ended",
    CounterProbe,
)
REFCOUNT_IMBALANCE = Property("refcount-imbalance", "a page reference is dropped twice, or leaked", ReferenceProbe)
BAD_RSS = Property(
    "bad-rss", "when every operation has ended, a process maps a page that does not belong to its VMA", RssProbe
)
MAP_IMBALANCE = Property("map-imbalance", "a kernel mapping is unmapped twice, or leaked", MappingProbe)
