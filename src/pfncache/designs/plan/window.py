# SPDX-License-Identifier: GPL-2.0-only
"""A window: pages of memory without a direct map that user space declares shared with KVM stay in the direct map."""

from __future__ import annotations

from pfncache.designs.plan.direct_map import DirectMapInPageCache, GmemFlag, LookupByPage
from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page, PageCacheEntry
from pfncache.linux.include.linux.types import Errno, Hva, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EBADF, ENOMEM
from pfncache.linux.include.uapi.linux.kvm import KVM_GMEM_KEEP_DIRECT_MAP, KVM_GMEM_LEAVE_DIRECT_MAP
from pfncache.linux.kernel.locking.rwsem import down_write


class WindowEntry(PageCacheEntry, extends=True):
    """An index of a file, with what user space has declared of it."""

    kept: bool
    """The page stays in the direct map."""


class KeepInDirectMap(DirectMapInPageCache):
    """KVM: guest_memfd: let user space keep pages in the direct map (KVM_GMEM_KEEP_DIRECT_MAP).

    A page leaves the direct map when it is declared private again: user page tables are unmapped first, so that MMU
    notifiers have invalidated what KVM has cached of it. A page that is pinned stays.
    """

    uapi = ("KVM_GMEM_KEEP_DIRECT_MAP", "KVM_GMEM_LEAVE_DIRECT_MAP")
    structs = (WindowEntry,)

    @atomic
    def is_kept(self, mapping: AddressSpace, index: Pgoff) -> bool:
        """Return whether user space has declared a page shared with KVM."""
        entry = mapping.i_pages[index]
        assert isinstance(entry, WindowEntry)
        return entry.kept

    def zap_direct_map(self, page: Page) -> None:
        """Leave a page that is kept in the direct map. The folio lock is held, under which is_kept() has its effect."""
        mapping = page.mapping
        assert mapping is not None
        if not self.is_kept(mapping, page.index):
            super().zap_direct_map(page)

    def vfs_ioctl(self, filp: File, cmd: int, start: Pgoff, end: Pgoff) -> Errno:
        """Keep the pages [start, end) in the direct map, or no longer. Returns 0, -EBADF, -ENOMEM or -EAGAIN."""
        if cmd != KVM_GMEM_KEEP_DIRECT_MAP and cmd != KVM_GMEM_LEAVE_DIRECT_MAP:  # noqa: PLR1714 (the language has no in)
            return super().vfs_ioctl(filp, cmd, start, end)
        if not self.file_ref_get(filp):
            return -EBADF
        ret = self.kvm_gmem_set_direct_map(filp.f_mapping, start, end, cmd == KVM_GMEM_KEEP_DIRECT_MAP)
        self.fput(filp)
        return ret

    def kvm_gmem_set_direct_map(self, inode: AddressSpace, start: Pgoff, end: Pgoff, kept: bool) -> Errno:
        """Keep pages, or give them up, until one fails."""
        ret = 0
        with down_write(inode.invalidate_lock):
            for index in range(len(inode.i_pages)):
                if start <= index < end and ret == 0:
                    ret = self.keep_page(inode, index) if kept else self.give_page_up(inode, index)
        return ret

    def keep_page(self, mapping: AddressSpace, index: Pgoff) -> Errno:
        """Return a page to the direct map, then let GUP hand it out: the mark is set last. Returns 0 or -ENOMEM."""
        page = self.filemap_grab_folio(mapping, index)
        if page is None:
            return -ENOMEM
        self.set_direct_map_default_noflush(page)
        self.set_kept(mapping, index, True)
        page.lock.unlock()
        self.put_page(page)
        return 0

    def give_page_up(self, mapping: AddressSpace, index: Pgoff) -> Errno:
        """Take a page out of user page tables, then out of the direct map. Returns 0, or -EAGAIN if it is pinned.

        The folio lock keeps faults from mapping it again in between.
        """
        ret = 0
        self.set_kept(mapping, index, False)
        page = self.filemap_lock_folio(mapping, index)
        if page is None:
            return 0
        if page.mapcount > 0:
            self.unmap_mapping_folio(mapping, index)
        if page.pincount > 0:
            self.set_kept(mapping, index, True)
            ret = -EAGAIN
        else:
            self.zap_direct_map(page)
        page.lock.unlock()
        self.put_page(page)
        return ret

    @atomic
    def set_kept(self, mapping: AddressSpace, index: Pgoff, kept: bool) -> None:
        """Store what user space has declared."""
        entry = mapping.i_pages[index]
        assert isinstance(entry, WindowEntry)
        entry.kept = kept


class LookupInWindow(LookupByPage, KeepInDirectMap):
    """mm: gup: hand out pages of AS_NO_DIRECT_MAP mappings that are in the direct map."""

    supports = frozenset({"gmem-window"})

    @atomic
    def gup_fast_folio_allowed(self, page: Page) -> bool:
        """Allow a page that is kept."""
        if super().gup_fast_folio_allowed(page):
            return True
        mapping = page.mapping
        assert mapping is not None
        return self.is_kept(mapping, page.index)

    def get_user_pages_unlocked(self, mm: MmStruct, address: Hva, write: bool = True, pin: bool = False) -> Pfn:
        """Refuse a page that is not kept, as the fast path does."""
        pfn = super().get_user_pages_unlocked(mm, address, write, pin)
        if not self.pfn_valid(pfn) or self.gup_fast_folio_allowed(self.mem_map[pfn]):
            return pfn
        if pin:
            self.unpin_user_page(self.mem_map[pfn])
        else:
            self.put_page(self.mem_map[pfn])
        return KVM_PFN_ERR_FAULT


WINDOW = [DirectMapInPageCache, GmemFlag, KeepInDirectMap, LookupInWindow]
"""The patches, on top of the fixes of mainline."""
