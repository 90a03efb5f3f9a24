# SPDX-License-Identifier: GPL-2.0-only
"""Large folios in guest_memfd, which 7.3.4 does not have: folios of order 1, which a huge SPTE maps."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.kvm_host import File, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.types import Errno, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EBADF
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.vmlinux import Vmlinux


class LargeGmemFolios(Patch, Vmlinux):
    """KVM: guest_memfd: allocate folios of two pages, and split one before a part of it goes.

    A folio is split if it has no references but the two of the page cache and the split's: no lookup is in flight, and
    no user PTE is left. Otherwise the caller gets -EAGAIN, and tries again. SPTEs have no references: a huge one is
    zapped with the hole, as the invalidation comes after the split. A fault at the page that stays then finds a folio
    of one page. If both pages are allocated anew meanwhile, they stay, as one does that is allocated behind a hole.
    """

    def filemap_grab_folio(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """Allocate a large folio where the cache has neither of its pages, and neighbours are free."""
        if not self.large_folios or not mapping.gmem or index | 1 >= len(mapping.i_pages):
            return super().filemap_grab_folio(mapping, index)
        page = self.filemap_lock_folio(mapping, index)
        if page is not None:
            return page
        new = self.alloc_large_folio()
        if new is not None:
            new.lock.lock()
            if self.add_large_folio(mapping, index & -2, new):
                return self.mem_map[new.pfn + (index & 1)]
            new.lock.unlock()
            self.put_page(new)
        return super().filemap_grab_folio(mapping, index)

    @atomic
    def add_large_folio(self, mapping: AddressSpace, index: Pgoff, new: Page) -> bool:
        """Add both pages to the cache, which gets a reference for each, unless it has one of them."""
        if mapping.i_pages[index].page is not None or mapping.i_pages[index + 1].page is not None:
            return False
        for number in range(2):
            page = self.mem_map[new.pfn + number]
            mapping.i_pages[index + number].page = page
            page.mapping = mapping
            page.index = index + number
        new.refcount += 2
        return True

    def make_uptodate(self, mapping: AddressSpace, page: Page) -> None:
        """Zero all of a folio at its first use."""
        folio = self.page_folio(page)
        if folio.compound and not folio.uptodate:
            self.clear_highpage(self.mem_map[folio.pfn + 1])
            self.mem_map[folio.pfn + 1].uptodate = True
        super().make_uptodate(mapping, folio)

    def gmem_max_order(self, slot: KvmMemorySlot, gfn: Gfn, pfn: Pfn) -> int:
        """Return the order of the folio, if the slot's gfns have the last bit of the file's pages."""
        aligned = (gfn ^ self.kvm_gmem_get_index(slot, gfn)) & 1 == 0
        return 1 if aligned and self.mem_map[pfn].compound else 0

    def truncate_inode_folio(self, mapping: AddressSpace, page: Page) -> None:
        """Remove both pages of a large folio."""
        folio = self.page_folio(page)
        if folio.compound:
            super().truncate_inode_folio(mapping, self.mem_map[folio.pfn + 1])
        super().truncate_inode_folio(mapping, folio)

    def truncate_split_range(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Remove the folios that lie in the hole. One that straddles its edge was allocated since the split."""
        for index in range(len(mapping.i_pages)):
            if start <= index < end:
                page = self.filemap_lock_folio(mapping, index)
                if page is not None:
                    folio = self.page_folio(page)
                    if not folio.compound or start <= index & -2 < (index | 1) < end:
                        self.truncate_inode_folio(mapping, page)
                    folio.lock.unlock()
                    self.put_page(page)

    def kvm_gmem_punch_hole(self, file: File, start: Pgoff, end: Pgoff) -> Errno:
        """Split the folios of which the hole has a part; -EAGAIN while one is in use."""
        if not self.file_ref_get(file):
            return -EBADF
        inode = file.f_mapping
        with down_write(inode.invalidate_lock):
            ret = self.punch_split_folios(inode, start, end)
        self.fput(file)
        return ret

    def punch_split_folios(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """Split, invalidate, truncate, and let faults in."""
        if not self.split_at(inode, start) or not self.split_at(inode, end):
            return -EAGAIN
        self.kvm_gmem_invalidate_start(inode, start, end)
        self.truncate_split_range(inode, start, end)
        self.kvm_gmem_invalidate_end(inode, start, end)
        return 0

    def split_at(self, mapping: AddressSpace, index: Pgoff) -> bool:
        """Split the folio that has the pages before and behind an index; return whether there is none any more."""
        if index & 1 == 0 or index >= len(mapping.i_pages):
            return True
        page = self.filemap_lock_folio(mapping, index)
        if page is None:
            return True
        folio = self.page_folio(page)
        done: bool = True
        if folio.compound:
            done = self.split_locked_folio(mapping, folio)
        folio.lock.unlock()
        self.put_page(folio)
        return done

    def split_locked_folio(self, mapping: AddressSpace, folio: Page) -> bool:
        """Unmap a folio from user page tables, and make two of it; return False if it has other references."""
        self.unmap_mapping_range(mapping, folio.index, folio.index + 2)
        return self.freeze_and_split(folio)

    @atomic
    def freeze_and_split(self, folio: Page) -> bool:
        """Make two folios of one that has no references but the page cache's and the caller's."""
        if folio.refcount != 3:
            return False
        other = self.mem_map[folio.pfn + 1]
        folio.compound = False
        other.compound = False
        folio.refcount = 2
        other.refcount = 1
        return True


class SplitInInvalidation(LargeGmemFolios):
    """KVM: guest_memfd: invalidate the hole, then split folios.

    A fault at the page that stays is in no range that is being invalidated, and may map all of the folio until it is
    split.
    """

    def punch_split_folios(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """Invalidate, split, truncate, and let faults in."""
        ret: Errno = 0
        self.kvm_gmem_invalidate_start(inode, start, end)
        if self.split_at(inode, start) and self.split_at(inode, end):
            self.truncate_split_range(inode, start, end)
        else:
            ret = -EAGAIN
        self.kvm_gmem_invalidate_end(inode, start, end)
        return ret


class InvalidateFolios(SplitInInvalidation):
    """KVM: guest_memfd: invalidate all of the folios of which a hole has a part, then split them."""

    def kvm_gmem_invalidate_start(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Round outwards."""
        super().kvm_gmem_invalidate_start(inode, start & -2, (end + 1) & -2)

    def kvm_gmem_invalidate_end(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Round outwards."""
        super().kvm_gmem_invalidate_end(inode, start & -2, (end + 1) & -2)


class TruncatePartialFolio(LargeGmemFolios):
    """KVM: guest_memfd: leave folios that straddle a hole to truncate_inode_pages_range() of 7.3.4.

    truncate_inode_partial_folio() splits such a folio. If that fails, because a lookup has a reference, it removes all
    of a folio that is not dirty: also the page outside of the hole, which was not invalidated.
    """

    def punch_split_folios(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """Invalidate, truncate, and let faults in, as 7.3.4 does."""
        self.kvm_gmem_invalidate_start(inode, start, end)
        self.truncate_inode_partial_folio(inode, start)
        self.truncate_inode_partial_folio(inode, end)
        self.truncate_inode_pages_range(inode, start, end)
        self.kvm_gmem_invalidate_end(inode, start, end)
        return 0

    def truncate_inode_partial_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Split the folio at an edge of the hole, or remove it."""
        if index & 1 == 0 or index >= len(mapping.i_pages):
            return
        page = self.filemap_lock_folio(mapping, index)
        if page is None:
            return
        folio = self.page_folio(page)
        if folio.compound and not self.split_locked_folio(mapping, folio):
            self.truncate_inode_folio(mapping, folio)
        folio.lock.unlock()
        self.put_page(folio)
