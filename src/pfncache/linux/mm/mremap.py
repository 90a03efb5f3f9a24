# SPDX-License-Identifier: GPL-2.0-only
"""mm/mremap.c: moves of mappings."""

from __future__ import annotations

from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.mm.vma import VmaOps


class Mremap(VmaOps):
    """The functions of mm/mremap.c, one page at a time."""

    def do_mremap(self, mm: MmStruct, old: Hva, new: Hva) -> Errno:
        """Move one page with its PTE: mremap(MREMAP_MAYMOVE | MREMAP_FIXED).

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
        """Move a PTE with its page reference. The page stays mapped, so mapcount does not change.

        Linux: mm/mremap.c move_ptes(), v7.3.4.
        Locks: mmap_lock for writing; between mmu_notifier start and end.
        """
        with spin_lock(mm.page_table_lock):
            pfn = mm.ptes[old].pfn
            writable = mm.ptes[old].writable
            prot_none = mm.ptes[old].prot_none
            migration = mm.ptes[old].migration
            mm.ptes[old].pfn = -1
            mm.ptes[old].writable = False
            mm.ptes[old].migration = -1
            mm.ptes[new].pfn = pfn
            mm.ptes[new].writable = writable
            mm.ptes[new].prot_none = prot_none
            mm.ptes[new].migration = migration
