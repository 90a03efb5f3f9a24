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
        """Unmap one page: munmap().

        Linux: mm/mmap.c vm_munmap(), mm/vma.c __vm_munmap(), v7.3.4.
        Returns: 0.
        """
        with down_write(mm.mmap_lock):
            self.vms_complete_munmap_vmas(mm, address)
        return 0

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
                    self.remove_vma(mm, mm.vmas[number])
