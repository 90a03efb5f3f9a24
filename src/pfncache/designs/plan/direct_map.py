# SPDX-License-Identifier: GPL-2.0-only
"""mm: memory without a direct map, as a property of the page cache; a mapping for the time of an access."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.no_direct_map import NoDirectMapFlag, ZapDirectMap
from pfncache.designs.requirement import NO_DIRECT_MAP
from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.mm_types import AddressSpace, Page, Vma
from pfncache.linux.include.linux.types import Pfn, Pgoff
from pfncache.linux.vmlinux import Vmlinux


class KmapLocal(Patch, Vmlinux):
    """mm: highmem: kmap_local for pages without a direct map.

    A page is mapped on one CPU alone, for the time that preemption is off, in any context; the flush at the end is
    local. So no alias outlives the lock under which it is used, and no other CPU has it. Where there is a direct map,
    nothing is mapped.
    """

    @atomic
    def access_by_kmap_local(self, pfn: Pfn, write: bool) -> Pfn:
        """Map a page, access it, and unmap it. One step: no other CPU sees the mapping."""
        self.check_kernel_access(self.mem_map[pfn], self.PAGE_OFFSET + (pfn << self.PAGE_SHIFT), write)
        return pfn

    def clear_highpage(self, page: Page) -> None:
        """Zero a page without a direct map through a local mapping."""
        if page.direct_map:
            super().clear_highpage(page)
        else:
            self.access_by_kmap_local(page.pfn, True)
            self.host_zero(page)


class DirectMapInPageCache(KmapLocal, ZapDirectMap):
    """mm: filemap: remove the pages of AS_NO_DIRECT_MAP mappings from the direct map.

    A page leaves the direct map when it enters the page cache, and returns when it leaves it: no owner of a mapping
    has to keep a record of its pages. The page is locked, so that no other task has it yet when the TLBs are flushed.
    """

    def filemap_add_folio(self, mapping: AddressSpace, index: Pgoff, page: Page) -> bool:
        """Remove a page that was added from the direct map."""
        added = super().filemap_add_folio(mapping, index, page)
        if added and mapping.no_direct_map:
            self.zap_direct_map(page)
        return added

    def filemap_remove_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Return the page to the direct map."""
        page = mapping.i_pages[index].page
        assert page is not None
        super().filemap_remove_folio(mapping, index)
        if mapping.no_direct_map:
            self.set_direct_map_default_noflush(page)


class GmemFlag(DirectMapInPageCache, NoDirectMapFlag):
    """KVM: guest_memfd: Add GUEST_MEMFD_FLAG_NO_DIRECT_MAP."""

    provides = (NO_DIRECT_MAP,)
    supports = frozenset({"gmem-ndm"})


class LookupByPage(Patch, Vmlinux):
    """mm: gup: leave it to the page whether it is looked up without a direct map, not to its mapping."""

    def check_vma_flags(self, vma: Vma, write: bool) -> bool:
        """Allow any mapping but that of a device."""
        allowed = vma.writable if write else vma.readable
        return vma.present and allowed and not vma.pfnmap


class LookupWithoutDirectMap(LookupByPage):
    """mm: gup: let a caller look pages up that the direct map does not have (FOLL_NO_DIRECT_MAP).

    KVM asks for it: guests and processors use physical addresses, and KVM maps what it accesses itself.
    """

    requires = (NO_DIRECT_MAP,)

    @atomic
    def gup_fast_folio_allowed(self, page: Page) -> bool:
        """Allow any page."""
        return True
