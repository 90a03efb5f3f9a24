# SPDX-License-Identifier: GPL-2.0-only
"""KVM: pfncache for memory without a direct map, and the faults of pfncache that are cured on the way."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.plan.direct_map import KmapLocal
from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Hva, Pfn, Pgoff
from pfncache.linux.vmlinux import Vmlinux


class MapForEachAccess(KmapLocal):
    """KVM: pfncache: map the page for each access, while gpc->lock is held.

    A cache keeps the pfn. khva, which is the address in the direct map, is used where there is one. An invalidation
    waits for the lock, and so for the mapping: when it returns, no alias of the page is left.
    """

    @atomic
    def access_khva(self, gpc: GfnToPfnCache, write: bool) -> Pfn:
        """Access a page without a direct map through a local mapping."""
        if self.pfn_valid(gpc.pfn) and not self.mem_map[gpc.pfn].direct_map:
            pfn = self.access_by_kmap_local(gpc.pfn, write)
            self.trace_gpc_access(gpc)
            return pfn
        return super().access_khva(gpc, write)


class RefuseOtherPages(Patch, Vmlinux):
    """KVM: pfncache: refuse a page that is not the guest's.

    A memslot that guest_memfd alone serves has a user address, too, where user space may map anything. What the guest
    accesses is the page of the file.
    """

    def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
        """Compare the page with what the memslot is bound to."""
        pfn = super().lookup_pfn(gpc, hva)
        slot = gpc.memslot
        if slot is None or not slot.gmem_only or not self.pfn_valid(pfn):
            return pfn
        if self.is_page_of_slot(gpc, pfn):
            return pfn
        self.kvm_release_page_unused(pfn)
        return KVM_PFN_ERR_FAULT

    def is_page_of_slot(self, gpc: GfnToPfnCache, pfn: Pfn) -> bool:
        """Return whether a page is the one of the file at the cache's gpa.

        One that was truncated meanwhile counts as that: an invalidation has come between, and the lookup is repeated.
        """
        slot = gpc.memslot
        assert slot is not None
        file = self.kvm_gmem_get_file(slot)
        if file is None:
            return False
        same = self.page_is_at(pfn, file.f_mapping, self.kvm_gmem_get_index(slot, self.gpa_to_gfn(gpc.gpa)))
        self.fput(file)
        return same

    @atomic
    def page_is_at(self, pfn: Pfn, mapping: AddressSpace, index: Pgoff) -> bool:
        """Return whether a page is in a mapping at an index, or in none."""
        page = self.mem_map[pfn]
        return not page.anon and (page.mapping is None or (page.mapping is mapping and page.index == index))
