# SPDX-License-Identifier: GPL-2.0-only
"""mm/mmap.c: checks of mappings, and their removal one at a time or with the process."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.lockdep import mmap_assert_locked, mmap_assert_write_locked
from pfncache.linux.include.linux.mm_types import MmStruct, Vma
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

    def dup_mmap(self, mm: MmStruct, oldmm: MmStruct) -> Errno:
        """Copy the mappings of a process to one that fork() makes, but those that MADV_DONTFORK excludes.

        Linux: mm/mmap.c dup_mmap(), v7.3.4.
        Locks: takes mmap_lock of both processes for writing.
        Returns: 0, or -ENOMEM; nothing is mapped in the new process then.
        Simplified: the lock of the anon_vma, which Linux takes to add the new process to it, is not taken: walks of the
        reverse mapping always have both.
        """
        ret: Errno = 0
        with down_write(oldmm.mmap_lock), down_write(mm.mmap_lock):
            for number in range(len(oldmm.vmas)):
                if ret == 0 and oldmm.vmas[number].present and not oldmm.vmas[number].dontcopy:
                    self.dup_vma(mm, mm.vmas[number], oldmm.vmas[number])
                    ret = self.copy_page_range(mm, oldmm, number)
            if ret != 0:
                for number in range(len(mm.vmas)):
                    if mm.vmas[number].present:
                        self.unmap_region(mm, number << self.PAGE_SHIFT, True)
                        self.remove_vma(mm.vmas[number])
                        mm.vmas[number].present = False
            self.flush_tlb_range(oldmm, 0, self.PAGE_OFFSET)
        return ret

    @part_of("dup_mmap")
    def dup_vma(self, mm: MmStruct, vma: Vma, old: Vma) -> None:
        """Copy a VMA to a new process. It takes a reference on its file, and is inserted in the file's tree.

        Linux: mm/mmap.c dup_mmap(), v7.3.4.
        Locks: mmap_lock of both processes for writing; takes i_mmap_rwsem for writing.
        """
        mapping = old.mapping
        vma.mapping = mapping
        vma.pgoff = old.pgoff
        vma.pfnmap = old.pfnmap
        vma.readable = old.readable
        vma.writable = old.writable
        mmap_assert_write_locked(mm.mmap_lock)  # vma_start_write() does
        vma.present = True
        for file in self.gmem_files:
            if mapping is not None and file.f_mapping is mapping:
                self.get_file(file)
        self.vma_link_file(vma)

    def exit_mmap(self, mm: MmStruct) -> None:
        """Tear down an address space: release its notifiers, then remove every PTE and VMA, without notifications.

        PTEs are cleared under mmap_lock for reading: a kernel thread that has borrowed the address space may fault.

        Linux: mm/mmap.c exit_mmap(), v7.3.4.
        """
        self.mmu_notifier_release(mm)
        with down_read(mm.mmap_lock):
            mmap_assert_locked(mm.mmap_lock)  # mas_root() of the iterator does
            for number in range(len(mm.ptes)):
                address = number << self.PAGE_SHIFT
                self.zap_vma_range(mm, address, address + self.PAGE_SIZE)
        with down_write(mm.mmap_lock):
            for number in range(len(mm.ptes)):
                if mm.vmas[number].present:
                    self.free_pgtables(mm, mm.vmas[number], True)
                    self.remove_vma(mm.vmas[number])
                    mm.vmas[number].present = False
