# SPDX-License-Identifier: GPL-2.0-only
"""mm/highmem.c and the highmem headers: kernel addresses of pages in the direct map."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Kva


class Highmem(Mm):
    """kmap() and clear_highpage(), without CONFIG_HIGHMEM."""

    def kmap(self, page: Page) -> Kva:
        """Return the address of a page in the direct map, present there or not.

        Linux: include/linux/highmem-internal.h kmap(), v7.3.4, without CONFIG_HIGHMEM.
        """
        might_sleep()
        return self.PAGE_OFFSET + (page.pfn << self.PAGE_SHIFT)

    def kunmap(self, khva: Kva) -> None:
        """Do nothing: the direct map stays.

        Linux: include/linux/highmem-internal.h kunmap(), v7.3.4, without CONFIG_HIGHMEM.
        """

    def clear_highpage(self, page: Page) -> None:
        """Zero a page through the direct map.

        Linux: include/linux/highmem.h clear_highpage(), v7.3.4.
        """
        self.kernel_access_page(page)
        self.host_zero(page)

    @part_of_caller
    @atomic
    def kernel_access_page(self, page: Page) -> None:
        """Write to a page of the caller's through the direct map, in one step.

        Linux: arch/x86/mm/fault.c do_kern_addr_fault(), page_fault_oops(), v7.3.4.
        """
        if not page.direct_map:
            report("unmapped-access", f"pfn {page.pfn} is written, but is not in the direct map")
        if page.free:
            report("use-after-free", f"pfn {page.pfn} is written, but it is free")

    @part_of("clear_page")
    @host_only
    def host_zero(self, page: Page) -> None:
        """Zero the bytes of a page.

        Linux: arch/x86/include/asm/page_64.h clear_page(), v7.3.4.
        """
        page.host_bytes[:] = bytes(len(page.host_bytes))
