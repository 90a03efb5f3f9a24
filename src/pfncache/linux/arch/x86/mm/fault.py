# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/mm/fault.c: accesses through kernel addresses, and page faults; with KASAN and the RMP."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.choose import choose
from pfncache.lang.part_of import part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn
from pfncache.linux.kernel.locking.rwsem import down_read


class Fault(Mm):
    """Accesses by the processor, with the checks of KASAN and the RMP."""

    @part_of_caller
    @atomic
    def kernel_access(self, khva: Kva, write: bool) -> Pfn:
        """Read or write through a kernel address, in one step.

        Linux: arch/x86/mm/fault.c do_kern_addr_fault(), page_fault_oops(), v7.3.4.
        Returns: the pfn that was accessed.
        Simplified: kernel page tables are the direct map's presence per page, and a table of vmalloc space.
        """
        if khva < self.PAGE_OFFSET:
            report("null-dereference", f"the kernel accesses {khva:#x}")
        if khva >= self.VMALLOC_START:
            area = self.vmap_areas[(khva - self.VMALLOC_START) >> self.PAGE_SHIFT]
            pfn = area.pfn
            if not area.busy:
                if self.tlbs and area.tlb >= 0 and choose(2) == 1:
                    pfn = area.tlb
                else:
                    report("unmapped-access", f"the kernel accesses {khva:#x}, which vmalloc space does not map")
        else:
            pfn = (khva - self.PAGE_OFFSET) >> self.PAGE_SHIFT
            in_tlb = self.tlbs and self.mem_map[pfn].direct_map_tlb and choose(2) == 1
            if not self.mem_map[pfn].direct_map and not in_tlb:
                report("unmapped-access", f"the kernel accesses {khva:#x}: pfn {pfn} is not in the direct map")
        if self.pfn_valid(pfn):
            self.check_kernel_access(self.mem_map[pfn], khva, write)
        return pfn

    @part_of_caller
    def check_kernel_access(self, page: Page, khva: Kva, write: bool) -> None:
        """Report an access to a free page, or a write to a page that the RMP assigns to a guest.

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

    def do_user_addr_fault(self, mm: MmStruct, address: Hva) -> Errno:
        """Write to memory of a process, and fault the page in if it is not present and writable.

        Linux: arch/x86/mm/fault.c do_user_addr_fault(), v7.3.4.
        Returns: 0, or the result of the fault.
        Simplified: one fault; the processor repeats the access, and the fault where that had to wait.
        """
        with down_read(mm.mmap_lock):
            if self.is_writable(mm, address >> self.PAGE_SHIFT):
                return 0
            return self.handle_mm_fault(mm, address, True)

    @part_of_caller
    @atomic
    def is_writable(self, mm: MmStruct, number: int) -> bool:
        """Return whether the processor may write through a PTE.

        Linux: nothing; the processor.
        """
        return mm.ptes[number].pfn >= 0 and mm.ptes[number].writable

    @part_of_caller
    def host_kernel_bytes(self, khva: Kva) -> memoryview:
        """Return the bytes from a kernel address to the end of its page, in direct execution.

        Linux: nothing; a pointer in C.
        """
        if khva >= self.VMALLOC_START:
            pfn = self.vmap_areas[(khva - self.VMALLOC_START) >> self.PAGE_SHIFT].pfn
        else:
            pfn = (khva - self.PAGE_OFFSET) >> self.PAGE_SHIFT
        return memoryview(self.host_page_bytes(pfn))[self.offset_in_page(khva) :]

    @part_of_caller
    def host_page_bytes(self, pfn: Pfn) -> bytearray:
        """Return the bytes of a page frame, also of a device, in direct execution.

        Linux: nothing; memory.
        """
        if self.pfn_valid(pfn):
            return self.mem_map[pfn].host_bytes
        return self.host_device_bytes.setdefault(pfn, bytearray(self.PAGE_SIZE))
