# SPDX-License-Identifier: GPL-2.0-only
"""mm/mmap.c, vma.c, madvise.c, mprotect.c, migrate.c, shmem.c: what a process does to its address space."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.lockdep import mmap_assert_locked, mmap_assert_write_locked
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page, Vma
from pfncache.linux.include.linux.types import Errno, Hva, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.kernel.locking.spinlock import spin_lock


class Mmap(Mm):
    """System calls on memory, one page at a time, and what the kernel does by itself: migration, exit."""

    def vm_mmap_pgoff(self, mm: MmStruct, address: Hva, mapping: AddressSpace | None, pgoff: Pgoff) -> Errno:
        """mmap(MAP_FIXED, PROT_READ | PROT_WRITE) of one page: anonymous, or of a file (shared).

        Linux: mm/util.c vm_mmap_pgoff(), mm/vma.c __mmap_region(), v7.3.4.
        Returns: 0.
        """
        with down_write(mm.mmap_lock):
            self.vms_complete_munmap_vmas(mm, address)
            self.vma_link(mm, address, mapping, pgoff)
        return 0

    def vma_link(self, mm: MmStruct, address: Hva, mapping: AddressSpace | None, pgoff: Pgoff) -> None:
        """Enter a VMA; it has a reference on its file.

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
        """Take a VMA away: its PTEs, then itself.

        Linux: mm/vma.c vms_complete_munmap_vmas(), vms_clear_ptes(), v7.3.4.
        Locks: mmap_lock for writing.
        """
        if not mm.vmas[address >> self.PAGE_SHIFT].present:
            return
        self.zap_vma_range(mm, address, address + self.PAGE_SIZE)
        self.remove_vma(mm, mm.vmas[address >> self.PAGE_SHIFT])

    def remove_vma(self, mm: MmStruct, vma: Vma) -> None:
        """Remove a VMA, and its reference on the file.

        Linux: mm/vma.c remove_vma(), v7.3.4.
        Locks: mmap_lock for writing.
        """
        mmap_assert_write_locked(mm.mmap_lock)
        mapping = vma.mapping
        vma.present = False
        for file in self.gmem_files:
            if mapping is not None and file.f_mapping is mapping:
                self.fput(file)

    def vm_munmap(self, mm: MmStruct, address: Hva) -> Errno:
        """munmap() of one page.

        Linux: mm/mmap.c vm_munmap(), mm/vma.c __vm_munmap(), v7.3.4.
        Returns: 0.
        """
        with down_write(mm.mmap_lock):
            self.vms_complete_munmap_vmas(mm, address)
        return 0

    @part_of("do_madvise")
    def madvise_dontneed(self, mm: MmStruct, address: Hva) -> Errno:
        """madvise(MADV_DONTNEED) of one page: its PTE goes, the VMA stays.

        Linux: mm/madvise.c do_madvise(), madvise_dontneed_single_vma(), v7.3.4.
        Returns: 0.
        """
        with down_read(mm.mmap_lock):
            mmap_assert_locked(mm.mmap_lock)  # find_vma() does
            self.zap_vma_range(mm, address, address + self.PAGE_SIZE)
        return 0

    def do_mprotect_pkey(self, mm: MmStruct, address: Hva, writable: bool, readable: bool = True) -> Errno:
        """mprotect() of one page to PROT_READ, with PROT_WRITE if `writable`; to PROT_NONE if it is not even readable.

        Linux: mm/mprotect.c do_mprotect_pkey(), mprotect_fixup(), change_protection(), v7.3.4.
        Returns: 0 or -ENOMEM.
        Simplified: the PTE of what may not be read stays as it is; whoever reads for the process asks the VMA.
        """
        number = address >> self.PAGE_SHIFT
        with down_write(mm.mmap_lock):
            vma = mm.vmas[number]
            if not vma.present:
                return -ENOMEM
            mmap_assert_write_locked(mm.mmap_lock)
            vma.readable = readable
            vma.writable = writable
            self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
            with spin_lock(mm.page_table_lock):
                if not writable:
                    mm.ptes[number].writable = False
            self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)
        return 0

    def do_user_addr_fault(self, mm: MmStruct, address: Hva) -> Errno:
        """A process writes to its memory and faults if it has to.

        Linux: arch/x86/mm/fault.c do_user_addr_fault(), v7.3.4.
        Returns: 0, or what the fault gives.
        """
        with down_read(mm.mmap_lock):
            pte = mm.ptes[address >> self.PAGE_SHIFT]
            if pte.pfn >= 0 and pte.writable:
                return 0
            return self.handle_mm_fault(mm, address, True)

    def migrate_pages(self, mm: MmStruct, address: Hva) -> Errno:
        """Move the contents of an anonymous page to another one, as compaction or NUMA balancing do.

        Linux: mm/migrate.c migrate_pages(), migrate_folio_unmap(), migrate_folio_move(), v7.3.4.
        Returns: 0, -EAGAIN when somebody else holds a reference, -EFAULT or -ENOMEM.
        Simplified: anonymous pages that one PTE maps; whoever meets the migration entry waits for mmap_lock instead.
        """
        number = address >> self.PAGE_SHIFT
        with down_write(mm.mmap_lock):
            pfn = mm.ptes[number].pfn
            if not self.pfn_valid(pfn) or not self.mem_map[pfn].anon:
                return -EFAULT
            new = self.alloc_page()
            if new is None:
                return -ENOMEM
            old = self.mem_map[pfn]
            self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
            with spin_lock(mm.page_table_lock):
                writable = mm.ptes[number].writable
                self.clear_pte(mm, number)
            moved = self.folio_ref_freeze(old)
            if moved:
                new.anon = True
                self.host_copy(pfn, new.pfn)
            with spin_lock(mm.page_table_lock):
                if moved:
                    self.set_pte_range(mm, number, new, writable)
                else:
                    self.set_pte_range(mm, number, old, writable)
            if moved:
                self.put_page(old)
            else:
                self.put_page(new)
            self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)
        return 0 if moved else -EAGAIN

    @atomic
    def folio_ref_freeze(self, page: Page) -> bool:
        """Whether nobody but the migration has a reference.

        Linux: include/linux/page_ref.h folio_ref_freeze(), v7.3.4.
        """
        return page.refcount == 1

    @part_of("folio_mc_copy")
    @host_only
    def host_copy(self, source: Pfn, target: Pfn) -> None:
        """Copy the bytes of a page.

        Linux: mm/util.c folio_mc_copy(), v7.3.4.
        """
        self.mem_map[target].host_bytes[:] = self.mem_map[source].host_bytes

    @part_of("shmem_fallocate")
    def punch_hole_in_memfd(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """fallocate(PUNCH_HOLE) of a memfd.

        Linux: mm/shmem.c shmem_fallocate(), v7.3.4.
        Returns: 0.
        """
        with down_write(mapping.invalidate_lock):
            self.truncate_inode_pages_range(mapping, start, end)
        return 0

    def exit_mmap(self, mm: MmStruct) -> None:
        """The process is gone: first KVM, then every PTE and VMA. There are no notifications any more.

        Linux: mm/mmap.c exit_mmap(), v7.3.4.
        """
        self.mmu_notifier_release(mm)
        with down_write(mm.mmap_lock):
            for number in range(len(mm.ptes)):
                address = number << self.PAGE_SHIFT
                self.zap_vma_range(mm, address, address + self.PAGE_SIZE)
                if mm.vmas[number].present:
                    self.remove_vma(mm, mm.vmas[number])
