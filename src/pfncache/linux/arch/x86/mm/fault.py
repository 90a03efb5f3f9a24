# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/mm/fault.c, mm/kasan: what happens when the kernel follows an address."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.types import Kva, Pfn


class Fault(Mm):
    """The processor's view of kernel addresses, with KASAN's and the RMP's checks."""

    @part_of_caller
    @atomic
    def kernel_access(self, khva: Kva, write: bool) -> Pfn:
        """Read or write through a kernel address.

        Linux: arch/x86/mm/fault.c do_kern_addr_fault(), page_fault_oops(), v7.3.4.
        Returns: the pfn that was reached.
        Simplified: kernel page tables are the direct map's presence per page, and a table of vmalloc space; TLBs hold
        nothing that the tables do not.
        """
        if khva < self.PAGE_OFFSET:
            report("null-dereference", f"the kernel follows {khva:#x}")
        if khva >= self.VMALLOC_START:
            area = self.vmap_areas[(khva - self.VMALLOC_START) >> self.PAGE_SHIFT]
            if not area.busy:
                report("unmapped-access", f"the kernel follows {khva:#x}, which vmalloc space does not map")
            pfn = area.pfn
        else:
            pfn = (khva - self.PAGE_OFFSET) >> self.PAGE_SHIFT
            if not self.mem_map[pfn].direct_map:
                report("unmapped-access", f"the kernel follows {khva:#x}: pfn {pfn} is not in the direct map")
        if self.pfn_valid(pfn):
            self.check_kernel_access(self.mem_map[pfn], khva, write)
        return pfn

    @part_of_caller
    def check_kernel_access(self, page: Page, khva: Kva, write: bool) -> None:
        """Look whether the page may be touched.

        Linux: mm/kasan/generic.c kasan_check_range(); the processor, with the RMP that arch/x86/virt/svm/sev.c sets up,
        v7.3.4.
        """
        if page.free:
            report(
                "use-after-free",
                f"pfn {page.pfn} is {'written' if write else 'read'} through {khva:#x}, but it is free",
            )
        if page.rmp_private and write:
            report("private-access", f"RMP fault: the host writes pfn {page.pfn}, which is assigned to a guest")
        self.trace_kernel_access(khva, page, write)

    def clear_highpage(self, page: Page) -> None:
        """Zero a page through the direct map.

        Linux: include/linux/highmem.h clear_highpage(), v7.3.4.
        """
        self.kernel_access_page(page)
        self.host_zero(page)

    @part_of_caller
    @atomic
    def kernel_access_page(self, page: Page) -> None:
        """Write to a page that is one's own, through the direct map.

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

    @part_of_caller
    def host_kernel_bytes(self, khva: Kva) -> memoryview:
        """The bytes from a kernel address to the end of its page, in direct execution.

        Linux: nothing; what a pointer is in C.
        """
        if khva >= self.VMALLOC_START:
            pfn = self.vmap_areas[(khva - self.VMALLOC_START) >> self.PAGE_SHIFT].pfn
        else:
            pfn = (khva - self.PAGE_OFFSET) >> self.PAGE_SHIFT
        return memoryview(self.host_page_bytes(pfn))[self.offset_in_page(khva) :]

    @part_of_caller
    def host_page_bytes(self, pfn: Pfn) -> bytearray:
        """The bytes of a page frame, in direct execution; of a device's too.

        Linux: nothing; memory.
        """
        if self.pfn_valid(pfn):
            return self.mem_map[pfn].host_bytes
        return self.host_device_bytes.setdefault(pfn, bytearray(self.PAGE_SIZE))
