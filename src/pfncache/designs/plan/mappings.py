# SPDX-License-Identifier: GPL-2.0-only
"""Other ways to map memory without a direct map for a pfncache: what the plan would have instead of a local mapping."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.no_direct_map import ZapDirectMap
from pfncache.designs.plan.pfncache import MapForEachAccess
from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.kvm_types import is_error_noslot_pfn
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Kva, Pfn, Pgoff
from pfncache.linux.vmlinux import Vmlinux


class VmapWhileCached(Patch, Vmlinux):
    """KVM: pfncache: vmap() a page for as long as it is cached.

    An invalidation holds spinlocks, and vunmap() sleeps: the alias goes with the next refresh.
    """

    def gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> Kva:
        """Map a page without a direct map by vmap()."""
        if self.pfn_valid(pfn) and not self.mem_map[pfn].direct_map:
            self.note_map(gpc, pfn)
            return self.vmap(self.mem_map[pfn])
        return super().gpc_map(gpc, pfn)

    def gpc_unmap(self, pfn: Pfn, khva: Kva) -> None:
        """Unmap what was mapped by vmap()."""
        if not is_error_noslot_pfn(pfn) and khva != 0 and self.pfn_valid(pfn) and self.is_vmalloc_addr(khva):
            self.vunmap(khva)
        else:
            super().gpc_unmap(pfn, khva)


class MapInMm(VmapWhileCached):
    """KVM: pfncache: map a page in the address space of the VM's process for as long as it is cached."""

    @atomic
    def access_khva(self, gpc: GfnToPfnCache, write: bool) -> Pfn:
        """Require the address space that has the mapping."""
        kvm = gpc.kvm
        assert kvm is not None
        if self.is_vmalloc_addr(gpc.khva) and current().mm is not kvm.mm:
            report("unmapped-access", f"{gpc} is used in another address space than the one that has its mapping")
        return super().access_khva(gpc, write)


class Mermap(MapForEachAccess):
    """KVM: pfncache: map the page for each access, in the address space of the VM's process.

    Not in an interrupt, nor in a kernel thread that has not borrowed the address space: there a cache counts as
    invalid, and the user does what it does when it would have to sleep.
    """

    def kvm_gpc_check(self, gpc: GfnToPfnCache, length: int) -> bool:
        """Refuse a page that cannot be mapped in this context."""
        if not super().kvm_gpc_check(gpc, length):
            return False
        return self.is_mappable(gpc)

    @atomic
    def is_mappable(self, gpc: GfnToPfnCache) -> bool:
        """Return whether the page has a direct map, or this is a task of the VM's process."""
        kvm = gpc.kvm
        assert kvm is not None
        if not self.pfn_valid(gpc.pfn) or self.mem_map[gpc.pfn].direct_map:
            return True
        return current().mm is kvm.mm


class RestoredPage(Page, extends=True):
    """struct folio, with how many caches have restored the direct map of the page."""

    restored: int


class RestoreWhileCached(ZapDirectMap):
    """KVM: guest_memfd: restore the direct map of a page for as long as it is cached.

    The folio lock is over the count of the caches. A page that has left its file is in the direct map in any case.
    """

    structs = (RestoredPage,)

    def gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> Kva:
        """Restore the direct map, if this is the first cache."""
        if self.pfn_valid(pfn) and self.is_without_direct_map(self.mem_map[pfn]):
            page = self.mem_map[pfn]
            assert isinstance(page, RestoredPage)
            page.lock.lock()
            if page.restored == 0 and not page.direct_map:
                self.set_direct_map_default_noflush(page)
            page.restored += 1
            page.lock.unlock()
        return super().gpc_map(gpc, pfn)

    @atomic
    def is_without_direct_map(self, page: Page) -> bool:
        """Return whether a page belongs to a file whose pages are not in the direct map."""
        mapping = page.mapping
        return not page.anon and mapping is not None and mapping.no_direct_map

    def gpc_unmap(self, pfn: Pfn, khva: Kva) -> None:
        """Remove the page again after the last cache, and flush, unless it has left the file."""
        mapped = not is_error_noslot_pfn(pfn) and khva != 0 and self.pfn_valid(pfn)
        if mapped and self.is_without_direct_map(self.mem_map[pfn]):
            page = self.mem_map[pfn]
            assert isinstance(page, RestoredPage)
            page.lock.lock()
            if page.restored > 0 and self.is_without_direct_map(page):
                page.restored -= 1
                if page.restored == 0:
                    self.zap_direct_map(page)
            page.lock.unlock()
        super().gpc_unmap(pfn, khva)

    def filemap_remove_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Forget the caches of a page that leaves the file: an invalidation has come before."""
        page = mapping.i_pages[index].page
        assert isinstance(page, RestoredPage)
        super().filemap_remove_folio(mapping, index)
        page.restored = 0
