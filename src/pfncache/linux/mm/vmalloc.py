# SPDX-License-Identifier: GPL-2.0-only
"""mm/vmalloc.c: kernel addresses of pages in vmalloc space."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Kva, Pfn
from pfncache.linux.mm.failslab import should_failslab


class Vmalloc(Mm):
    """The functions of mm/vmalloc.c."""

    @atomic
    def vmap_pages_range(self, pfn: Pfn) -> Kva:
        """Map a pfn into vmalloc space.

        An address that was unmapped is not used again until the lazy list is purged, so fresh ones go first: an access
        through an old address is detected.

        Linux: mm/vmalloc.c vmap_pages_range(), v7.3.4.
        Returns: the address; NULL when no area is free, or allocated.
        Simplified: the lazy list is purged, with its flush, when no fresh address is left: one address at its use.
        """
        if should_failslab():
            return 0
        for used in (False, True):
            for number in range(len(self.vmap_areas)):
                area = self.vmap_areas[number]
                if not area.busy and area.used == used:
                    area.tlb = -1
                    area.busy = True
                    area.used = True
                    area.pfn = pfn
                    return self.VMALLOC_START + (number << self.PAGE_SHIFT)
        return 0

    @atomic
    def remove_vm_area(self, khva: Kva) -> None:
        """Unmap an address of vmalloc space.

        The TLB is flushed before the address is used again: until then, an access may still reach the page.

        Linux: mm/vmalloc.c remove_vm_area(), free_unmap_vmap_area(), v7.3.4.
        """
        area = self.vmap_areas[(khva - self.VMALLOC_START) >> self.PAGE_SHIFT]
        if not area.busy:
            report("map-imbalance", f"{khva:#x} is unmapped, but nothing is mapped there")
        area.busy = False
        if self.tlbs:
            area.tlb = area.pfn
        area.pfn = -1

    def vmap(self, page: Page) -> Kva:
        """Map one page, whether or not it is present in the direct map.

        Linux: mm/vmalloc.c vmap(), v7.3.4.
        Locks: may sleep.
        """
        might_sleep()
        return self.vmap_pages_range(page.pfn)

    def vunmap(self, khva: Kva) -> None:
        """Unmap what vmap() mapped.

        Linux: mm/vmalloc.c vunmap(), v7.3.4.
        Locks: may sleep.
        """
        might_sleep()
        if self.offset_in_page(khva) != 0:
            report("map-imbalance", f"vunmap() of {khva:#x}, which is not the start of a page: it stays mapped")
        self.remove_vm_area(khva)

    def is_vmalloc_addr(self, khva: Kva) -> bool:
        """Return whether an address is in vmalloc space.

        Linux: mm/vmalloc.c is_vmalloc_addr(), v7.3.4.
        """
        return khva >= self.VMALLOC_START
