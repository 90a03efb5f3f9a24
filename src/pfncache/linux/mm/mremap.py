# SPDX-License-Identifier: GPL-2.0-only
"""mm/mremap.c, mmap.c, madvise.c: what a process asks of a range of its address space."""

from __future__ import annotations

from pfncache.linux.fs.open import Open
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL, ENOMEM, EPERM
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.virt.kvm.guest_memfd.file import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE


class Mremap(Open):
    """Ranges of pages, with the checks of the system calls."""

    def do_mmap(self, file: File | None, shared: bool, executable: bool) -> Errno:
        """Whether a mapping may be made.

        Linux: mm/mmap.c do_mmap(), v7.3.4.
        Returns: 0, -EPERM (guest_memfd is on a mount without execution), or what the file's own mmap returns.
        Simplified: the checks; vm_mmap_pgoff() maps page by page.
        """
        if file is None or not file.f_mapping.gmem:
            return 0
        if executable:
            return -EPERM
        return self.kvm_gmem_mmap(file, shared)

    def do_mremap(self, mm: MmStruct, old: Hva, new: Hva) -> Errno:
        """mremap(MREMAP_MAYMOVE | MREMAP_FIXED) of one page: its PTE goes along, and nothing is left behind.

        Linux: mm/mremap.c do_mremap(), move_vma(), move_page_tables(), v7.3.4.
        Returns: 0 or -EFAULT.
        """
        source = mm.vmas[old >> self.PAGE_SHIFT]
        target = mm.vmas[new >> self.PAGE_SHIFT]
        with down_write(mm.mmap_lock):
            if not source.present:
                return -EFAULT
            self.vms_complete_munmap_vmas(mm, new)
            self.vma_link(mm, new, source.mapping, source.pgoff)
            target.readable = source.readable
            target.writable = source.writable
            self.mmu_notifier_invalidate_range_start(mm, old, old + self.PAGE_SIZE)
            self.move_ptes(mm, old >> self.PAGE_SHIFT, new >> self.PAGE_SHIFT)
            self.mmu_notifier_invalidate_range_end(mm, old, old + self.PAGE_SIZE)
            self.vms_complete_munmap_vmas(mm, old)
        return 0

    def move_ptes(self, mm: MmStruct, old: int, new: int) -> None:
        """Move a PTE with the reference that it has. The page stays mapped all the while: mapcount does not change.

        Linux: mm/mremap.c move_ptes(), v7.3.4.
        Locks: mmap_lock for writing; between mmu_notifier start and end.
        """
        with spin_lock(mm.page_table_lock):
            pfn = mm.ptes[old].pfn
            writable = mm.ptes[old].writable
            mm.ptes[old].pfn = -1
            mm.ptes[old].writable = False
            mm.ptes[new].pfn = pfn
            mm.ptes[new].writable = writable

    def madvise_remove(self, mm: MmStruct, address: Hva) -> Errno:
        """madvise(MADV_REMOVE) of one page: a hole is punched into the file behind it.

        Linux: mm/madvise.c madvise_remove(), v7.3.4.
        Returns: 0, -ENOMEM without a mapping, -EINVAL for anonymous memory, or what fallocate() returns.
        """
        vma = mm.vmas[address >> self.PAGE_SHIFT]
        if not vma.present:
            return -ENOMEM
        mapping = vma.mapping
        if mapping is None:
            return -EINVAL
        offset = vma.pgoff << self.PAGE_SHIFT
        for file in self.gmem_files:
            if file.f_mapping is mapping:
                return self.vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, self.PAGE_SIZE)
        return self.shmem_fallocate(mapping, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, self.PAGE_SIZE)
