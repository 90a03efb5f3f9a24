# SPDX-License-Identifier: GPL-2.0-only
"""mm/mprotect.c: protection of mappings."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.lockdep import mmap_assert_write_locked
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.kernel.locking.spinlock import spin_lock


class Mprotect(Mm):
    """The functions of mm/mprotect.c, one page at a time."""

    def do_mprotect_pkey(self, mm: MmStruct, address: Hva, writable: bool, readable: bool = True) -> Errno:
        """Change the protection of one page to PROT_NONE, PROT_READ or PROT_READ | PROT_WRITE.

        Anonymous PTEs become writable at once, and those of a device, which is mapped shared and has nothing to write
        back (mm/vma.c vma_wants_writenotify()).

        Linux: mm/mprotect.c do_mprotect_pkey(), mprotect_fixup(), change_protection(), v7.3.4.
        Returns: 0 or -ENOMEM.
        Simplified: a PTE of a file stays read-only until it is written to; Linux makes one that is dirty writable.
        """
        number = address >> self.PAGE_SHIFT
        with down_write(mm.mmap_lock):
            vma = mm.vmas[number]
            if not vma.present:
                return -ENOMEM
            if vma.readable == readable and vma.writable == writable:
                return 0
            mmap_assert_write_locked(mm.mmap_lock)
            vma.readable = readable
            vma.writable = writable
            self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
            if self.large_folios and mm.ptes[number].huge:
                self._split_huge_pmd(mm, number)
            with spin_lock(mm.page_table_lock):
                self.keep_in_tlb(mm, number)
                if not writable:
                    mm.ptes[number].writable = False
                elif readable and (vma.pfnmap or vma.mapping is None) and self.may_become_writable(mm, number):
                    mm.ptes[number].writable = True
                mm.ptes[number].prot_none = not readable
            self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)
            self.flush_tlb_range(mm, address, address + self.PAGE_SIZE)
        return 0

    def change_pud_range(self, mm: MmStruct, number: int, enable_wp: bool) -> None:
        """Take the permission to write from a PTE for a userfaultfd, or give it back, between two notifications.

        Linux: mm/mprotect.c change_protection(), change_pud_range(), v7.3.4.
        Locks: mmap_lock for reading.
        """
        address = number << self.PAGE_SHIFT
        self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
        with spin_lock(mm.page_table_lock):
            self.change_pte_range(mm, number, enable_wp)
        self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)

    @atomic
    def change_pte_range(self, mm: MmStruct, number: int, enable_wp: bool) -> None:
        """Change a PTE for a userfaultfd.

        Linux: mm/mprotect.c change_pte_range(), change_present_ptes(), change_softleaf_pte(), v7.3.4.
        Locks: the PTE lock.
        Simplified: without markers: a page that is not there is not protected, as anonymous memory is by default. A PTE
        of a file is taken for dirty: it was writable.
        """
        if mm.ptes[number].pfn < 0 and mm.ptes[number].migration < 0:
            return
        self.keep_in_tlb(mm, number)
        mm.ptes[number].uffd_wp = enable_wp
        if enable_wp:
            mm.ptes[number].writable = False
        elif mm.vmas[number].writable and self.may_become_writable(mm, number):
            mm.ptes[number].writable = True

    @part_of("can_change_pte_writable")
    def may_become_writable(self, mm: MmStruct, number: int) -> bool:
        """Return whether a PTE may become writable without a fault.

        Not one of a page that is shared, which has to be copied, nor one that a userfaultfd protects.

        Linux: mm/mprotect.c can_change_pte_writable(), can_change_private_pte_writable(), v7.3.4.
        Locks: the PTE lock.
        """
        pfn = mm.ptes[number].pfn
        if mm.ptes[number].uffd_wp:
            return False
        if not self.pfn_valid(pfn):
            return pfn >= 0
        return not self.mem_map[pfn].anon_shared
