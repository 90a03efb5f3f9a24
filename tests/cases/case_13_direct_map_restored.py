# SPDX-License-Identifier: GPL-2.0-only
"""Case 13: a cache brings a page of guest_memfd back into the direct map, and takes it out again when it is unmapped.

Known from: the RFC of 2024-07-09, 6/8 "kvm: gmem: Temporarily restore direct map entries when needed".
Right verdict: violated, unmapped-access: without the rule "one cache for a pfn", as its changelog says: map(A),
map(B), read(A), unmap(A), read(B).
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.alternatives import BumpSequence, CompareIdentity, MemslotsUnderLock
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.designs.no_direct_map import NoDirectMap, NoDirectMapPage
from pfncache.designs.rfc import ResolvePfnsViaGmem
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.kvm_types import is_error_noslot_pfn
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.types import Kva, Pfn
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios import users


class RestoreDirectMap(Patch, Vmlinux):
    """kvm: gmem: Temporarily restore direct map entries when needed."""

    def make_uptodate(self, mapping: AddressSpace, page: Page) -> None:
        """Remove the direct map once, when the page is new."""
        if not page.uptodate:
            self.clear_highpage(page)
            page.uptodate = True
            assert isinstance(page, NoDirectMapPage)
            if mapping.no_direct_map:
                self.set_direct_map_invalid_noflush(page)
                page.direct_map_removed = True

    def gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> Kva:
        """Restore the direct map."""
        if self.pfn_valid(pfn):
            page = self.mem_map[pfn]
            assert isinstance(page, NoDirectMapPage)
            page.lock.lock()
            if page.direct_map_removed:
                self.set_direct_map_default_noflush(page)
                page.direct_map_removed = False
            page.lock.unlock()
        return super().gpc_map(gpc, pfn)

    def gpc_unmap(self, pfn: Pfn, khva: Kva) -> None:
        """Remove it again, if the page still is guest_memfd's."""
        if not is_error_noslot_pfn(pfn) and khva != 0 and self.pfn_valid(pfn):
            page = self.mem_map[pfn]
            assert isinstance(page, NoDirectMapPage)
            page.lock.lock()
            mapping = page.mapping
            if not page.anon and mapping is not None and mapping.no_direct_map and not page.direct_map_removed:
                self.set_direct_map_invalid_noflush(page)
                page.direct_map_removed = True
            page.lock.unlock()
        super().gpc_unmap(pfn, khva)


def two(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the two caches of the scenario."""
    return (vcpu.pv_time, vcpu.xen.vcpu_info_cache)


@scenario(memory=MemoryKind.GMEM_NDM, caches=two)
def two_caches(w: World) -> None:
    """Two caches of one page without a direct map are activated and used, and one is deactivated."""
    a, b = two(w.vcpu)
    w.actor(
        "A",
        w.call(users.activate_cache, w.kernel, w.kvm, a, w.gpa),
        w.call(users.use_cache, w.kernel, w.kvm, a),
        w.call(users.deactivate_cache, w.kernel, a),
    )
    w.actor("B", w.call(users.activate_cache, w.kernel, w.kvm, b, w.gpa), w.call(users.use_cache, w.kernel, w.kvm, b))


restored = mainline_7_3 + [
    NoDirectMap, ResolvePfnsViaGmem, CompareIdentity, BumpSequence, MemslotsUnderLock, RestoreDirectMap,
]  # fmt: skip
