# SPDX-License-Identifier: GPL-2.0-only
"""mm/mmap.c: checks of mappings, and their removal one at a time or with the process."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EPERM
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.mm.vma import VmaOps
from pfncache.linux.virt.kvm.guest_memfd.file import GuestMemfdFile


class Mmap(GuestMemfdFile, VmaOps):
    """The functions of mm/mmap.c, one page at a time."""

    def do_mmap(self, file: File | None, shared: bool, executable: bool) -> Errno:
        """Check whether a mapping of a file is allowed.

        Linux: mm/mmap.c do_mmap(), v7.3.4.
        Returns: 0, -EPERM (guest_memfd is on a noexec mount), or the result of the file's mmap().
        Simplified: only the checks; vm_mmap_pgoff() maps page by page.
        """
        if file is None or not file.f_mapping.gmem:
            return 0
        if executable:
            return -EPERM
        return self.kvm_gmem_mmap(file, shared)

    def vm_munmap(self, mm: MmStruct, address: Hva) -> Errno:
        """Unmap one page: munmap(), which downgrades mmap_lock as soon as the VMA is gone.

        Linux: mm/mmap.c munmap(), mm/vma.c __vm_munmap() with unlock, v7.3.4; vm_munmap() itself passes unlock = false.
        Returns: 0.
        """
        mm.mmap_lock.lock()
        return self.do_vmi_munmap(mm, address, True)

    def exit_mmap(self, mm: MmStruct) -> None:
        """Tear down an address space: release its notifiers, then remove every PTE and VMA, without notifications.

        PTEs are cleared under mmap_lock for reading: a kernel thread that has borrowed the address space may fault.

        Linux: mm/mmap.c exit_mmap(), v7.3.4.
        """
        self.mmu_notifier_release(mm)
        with down_read(mm.mmap_lock):
            for number in range(len(mm.ptes)):
                address = number << self.PAGE_SHIFT
                self.zap_vma_range(mm, address, address + self.PAGE_SIZE)
        with down_write(mm.mmap_lock):
            for number in range(len(mm.ptes)):
                if mm.vmas[number].present:
                    self.free_pgtables(mm, mm.vmas[number], True)
                    self.remove_vma(mm.vmas[number])
                    mm.vmas[number].present = False
