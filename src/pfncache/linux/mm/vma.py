# SPDX-License-Identifier: GPL-2.0-only
"""mm/vma.c: insertion and removal of VMAs."""

from __future__ import annotations

from pfncache.linux.include.linux.lockdep import mmap_assert_write_locked
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Vma
from pfncache.linux.include.linux.types import Hva, Pgoff


class VmaOps(Mm):
    """The functions of mm/vma.c, one page at a time."""

    def vma_link(self, mm: MmStruct, address: Hva, mapping: AddressSpace | None, pgoff: Pgoff) -> None:
        """Insert a VMA, which takes a reference on its file.

        Linux: mm/vma.c vma_link(), v7.3.4.
        Locks: mmap_lock for writing.
        """
        mmap_assert_write_locked(mm.mmap_lock)
        vma = mm.vmas[address >> self.PAGE_SHIFT]
        vma.mapping = mapping
        vma.pgoff = pgoff
        vma.pfnmap = False
        vma.readable = True
        vma.writable = True
        vma.present = True
        for file in self.gmem_files:
            if mapping is not None and file.f_mapping is mapping:
                self.get_file(file)

    def vms_complete_munmap_vmas(self, mm: MmStruct, address: Hva) -> None:
        """Remove a VMA: clear its PTEs, then free it.

        Linux: mm/vma.c vms_complete_munmap_vmas(), vms_clear_ptes(), v7.3.4.
        Locks: mmap_lock for writing.
        """
        if not mm.vmas[address >> self.PAGE_SHIFT].present:
            return
        self.zap_vma_range(mm, address, address + self.PAGE_SIZE)
        self.remove_vma(mm, mm.vmas[address >> self.PAGE_SHIFT])

    def remove_vma(self, mm: MmStruct, vma: Vma) -> None:
        """Free a VMA, and drop its reference on the file.

        Linux: mm/vma.c remove_vma(), v7.3.4.
        Locks: mmap_lock for writing.
        """
        mmap_assert_write_locked(mm.mmap_lock)
        mapping = vma.mapping
        vma.present = False
        for file in self.gmem_files:
            if mapping is not None and file.f_mapping is mapping:
                self.fput(file)
