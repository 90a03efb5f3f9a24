# SPDX-License-Identifier: GPL-2.0-only
"""kernel/iomem.c: kernel addresses of page frames that have no struct page."""

from __future__ import annotations

from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Kva, Pfn
from pfncache.linux.mm.vmalloc import Vmalloc


class Iomem(Vmalloc):
    """The functions of kernel/iomem.c."""

    def memremap(self, pfn: Pfn) -> Kva:
        """Map a pfn that has no struct page.

        Linux: kernel/iomem.c memremap(), for MEMREMAP_WB, v7.3.4.
        Locks: may sleep.
        """
        might_sleep()
        return self.vmap_pages_range(pfn)

    def memunmap(self, khva: Kva) -> None:
        """Unmap what memremap() mapped; do nothing for an address in the direct map.

        Linux: kernel/iomem.c memunmap(), mm/vmalloc.c remove_vm_area(), v7.3.4.
        Locks: may sleep.
        """
        if self.is_vmalloc_addr(khva):
            might_sleep()
            self.remove_vm_area(khva)
