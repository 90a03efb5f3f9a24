# SPDX-License-Identifier: GPL-2.0-only
"""mm/mremap.c: moves of mappings."""

from __future__ import annotations

from pfncache.linux.include.linux.mm_types import MmStruct, Vma
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
            self.do_vmi_munmap(mm, new, False)
            self.vma_link(mm, new, source.mapping, source.pgoff)
            target.pfnmap = source.pfnmap
            target.readable = source.readable
            target.writable = source.writable
            self.mmu_notifier_invalidate_range_start(mm, old, old + self.PAGE_SIZE)
            if self.large_folios and mm.ptes[old >> self.PAGE_SHIFT].huge:
                self._split_huge_pmd(mm, old >> self.PAGE_SHIFT)
            self.move_ptes(mm, old >> self.PAGE_SHIFT, new >> self.PAGE_SHIFT)
            self.mmu_notifier_invalidate_range_end(mm, old, old + self.PAGE_SIZE)
            self.do_vmi_munmap(mm, old, False)
        return 0

    def move_ptes(self, mm: MmStruct, old: int, new: int) -> None:
        """Move a PTE with its page reference. The page stays mapped, so mapcount does not change.

        Linux: mm/mremap.c move_ptes(), v7.3.4.
        Locks: mmap_lock for writing; between mmu_notifier start and end.
        Simplified: a walk of the reverse mapping must not miss both PTEs. Linux visits the new VMA after the old one,
        and takes the locks of the walk where it cannot. Walks of the model go up by address, so a move down takes them.
        """
        if new < old:
            self.take_rmap_locks(mm, mm.vmas[old])
        with spin_lock(mm.page_table_lock):
            pfn = mm.ptes[old].pfn
            writable = mm.ptes[old].writable
            prot_none = mm.ptes[old].prot_none
            migration = mm.ptes[old].migration
            self.keep_in_tlb(mm, old)
            mm.ptes[old].pfn = -1
            mm.ptes[old].writable = False
            mm.ptes[old].migration = -1
            mm.ptes[new].pfn = pfn
            mm.ptes[new].writable = writable
            mm.ptes[new].prot_none = prot_none
            mm.ptes[new].migration = migration
            if mm.ptes[old].special:
                mm.ptes[new].special = True
                mm.ptes[old].special = False
            if mm.ptes[old].uffd_wp:
                mm.ptes[old].uffd_wp = False  # the registration does not move
            self.flush_tlb_range(mm, old << self.PAGE_SHIFT, (old + 1) << self.PAGE_SHIFT)
        if new < old:
            self.drop_rmap_locks(mm, mm.vmas[old])

    def take_rmap_locks(self, mm: MmStruct, vma: Vma) -> None:
        """Keep walks of the reverse mapping out.

        Linux: mm/mremap.c take_rmap_locks(), v7.3.4.
        """
        mapping = vma.mapping
        if mapping is not None:
            mapping.i_mmap_rwsem.lock()
        else:
            mm.anon_vma_rwsem.lock()

    def drop_rmap_locks(self, mm: MmStruct, vma: Vma) -> None:
        """Let walks of the reverse mapping in.

        Linux: mm/mremap.c drop_rmap_locks(), v7.3.4.
        """
        mapping = vma.mapping
        if mapping is not None:
            mapping.i_mmap_rwsem.unlock()
        else:
            mm.anon_vma_rwsem.unlock()
