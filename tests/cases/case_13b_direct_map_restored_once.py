# SPDX-License-Identifier: GPL-2.0-only
"""Case 13b: a page of guest_memfd is in the direct map for one cache at a time.

Known from: the RFC of 2024-07-09, 6/8 "kvm: gmem: Temporarily restore direct map entries when needed".
Right verdict: holds in its scenario, of two caches. In the whole catalogue, violated: a page that is punched is freed
and used again while its old cache, which is invalid, still counts as the one that has restored it.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.alternatives import BumpSequence, CompareIdentity, MemslotsUnderLock
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.designs.no_direct_map import NoDirectMap, NoDirectMapPage
from pfncache.designs.rfc import ResolvePfnsViaGmem
from pfncache.lang.atomic import atomic
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
                self.flush_direct_map(page)
                page.direct_map_removed = True

    def flush_direct_map(self, page: Page) -> None:
        """Flush the page's address in the direct map."""
        address = self.PAGE_OFFSET + (page.pfn << self.PAGE_SHIFT)
        self.flush_tlb_kernel_range(address, address + self.PAGE_SIZE)

    def gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> Kva:
        """Restore the direct map, for one cache; memory of another kind has it."""
        if self.pfn_valid(pfn) and self.has_no_direct_map(self.mem_map[pfn]):
            page = self.mem_map[pfn]
            assert isinstance(page, NoDirectMapPage)
            page.lock.lock()
            if page.direct_map_removed:
                self.set_direct_map_default_noflush(page)
                page.direct_map_removed = False
                page.lock.unlock()
            else:
                page.lock.unlock()
                return 0
        return super().gpc_map(gpc, pfn)

    def gpc_unmap(self, pfn: Pfn, khva: Kva) -> None:
        """Remove it again, if the page still is guest_memfd's."""
        if (
            not is_error_noslot_pfn(pfn)
            and khva != 0
            and self.pfn_valid(pfn)
            and self.has_no_direct_map(self.mem_map[pfn])
        ):
            page = self.mem_map[pfn]
            assert isinstance(page, NoDirectMapPage)
            page.lock.lock()
            if self.has_no_direct_map(page) and not page.direct_map_removed:
                self.set_direct_map_invalid_noflush(page)
                self.flush_direct_map(page)
                page.direct_map_removed = True
            page.lock.unlock()
        super().gpc_unmap(pfn, khva)

    @atomic
    def has_no_direct_map(self, page: Page) -> bool:
        """Return whether a page is of a file whose pages are not in the direct map."""
        mapping = page.mapping
        return not page.anon and mapping is not None and mapping.no_direct_map


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


restored_once = mainline_7_3 + [
    NoDirectMap, ResolvePfnsViaGmem, CompareIdentity, BumpSequence, MemslotsUnderLock, RestoreDirectMap,
]  # fmt: skip
