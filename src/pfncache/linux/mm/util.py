# SPDX-License-Identifier: GPL-2.0-only
"""mm/util.c: mmap(), and copies of pages."""

from __future__ import annotations

from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page
from pfncache.linux.include.linux.types import Errno, Hva, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EBADF
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.mm.vma import VmaOps


class MmUtil(VmaOps):
    """The functions of mm/util.c."""

    def vm_mmap_pgoff(self, mm: MmStruct, address: Hva, mapping: AddressSpace | None, pgoff: Pgoff) -> Errno:
        """Map one page, anonymous or of a file: mmap(MAP_FIXED, PROT_READ | PROT_WRITE).

        Linux: mm/util.c vm_mmap_pgoff(), mm/vma.c __mmap_region(), __mmap_setup(), mm/mmap.c ksys_mmap_pgoff(), v7.3.4.
        Returns: 0, or -EBADF for a file that is closed.
        """
        for file in self.gmem_files:
            if file.f_mapping is mapping and not self.file_ref_get(file):
                return -EBADF
        with down_write(mm.mmap_lock):
            self.do_vmi_munmap(mm, address, False)
            self.vma_link(mm, address, mapping, pgoff)
        for file in self.gmem_files:
            if file.f_mapping is mapping:
                self.fput(file)
        return 0

    def folio_mc_copy(self, target: Page, source: Page) -> None:
        """Copy a page that no processor can write to meanwhile.

        Linux: mm/util.c folio_mc_copy(), v7.3.4.
        """
        if self.tlbs:
            self.trace_page_copy(source)
        self.host_copy(source.pfn, target.pfn)

    @part_of("folio_mc_copy")
    @host_only
    def host_copy(self, source: Pfn, target: Pfn) -> None:
        """Copy the bytes of a page.

        Linux: mm/util.c folio_mc_copy(), v7.3.4.
        """
        self.mem_map[target].host_bytes[:] = self.mem_map[source].host_bytes
