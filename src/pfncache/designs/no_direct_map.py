# SPDX-License-Identifier: GPL-2.0-only
"""The series "Direct Map Removal Support for guest_memfd", v12, which is not in mainline."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.requirement import NO_DIRECT_MAP
from pfncache.linux.include.linux.kvm_host import File, Kvm
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.uapi.linux.kvm import GUEST_MEMFD_FLAG_NO_DIRECT_MAP
from pfncache.linux.virt.kvm.guest_memfd.file import GuestMemfdFile
from pfncache.linux.vmlinux import Vmlinux


class NoDirectMapPage(Page, extends=True):
    """struct folio, with what guest_memfd keeps in folio->private."""

    direct_map_removed: bool
    """Bit 0, set when the page leaves the direct map."""


class ZapDirectMap(Patch, Vmlinux):
    """mm: remove a page from the direct map, and flush it."""

    def zap_direct_map(self, page: Page) -> None:
        """Remove a page from the direct map, and flush its address there."""
        self.set_direct_map_invalid_noflush(page)
        address = self.PAGE_OFFSET + (page.pfn << self.PAGE_SHIFT)
        self.flush_tlb_kernel_range(address, address + self.PAGE_SIZE)


class NoDirectMapFlag(Patch, GuestMemfdFile):
    """KVM: guest_memfd: GUEST_MEMFD_FLAG_NO_DIRECT_MAP, which sets AS_NO_DIRECT_MAP."""

    uapi = ("GUEST_MEMFD_FLAG_NO_DIRECT_MAP",)

    def kvm_gmem_get_supported_flags(self, kvm: Kvm) -> int:
        """Support one more flag, for every type of VM."""
        return super().kvm_gmem_get_supported_flags(kvm) | GUEST_MEMFD_FLAG_NO_DIRECT_MAP

    def _kvm_gmem_create(self, name: str, kvm: Kvm, pages: int, flags: int) -> File:
        """Set AS_NO_DIRECT_MAP."""
        file = super()._kvm_gmem_create(name, kvm, pages, flags)
        file.f_mapping.no_direct_map = flags & GUEST_MEMFD_FLAG_NO_DIRECT_MAP != 0
        return file


class NoDirectMap(NoDirectMapFlag, ZapDirectMap):
    """KVM: guest_memfd: Add flag to remove from direct map (NO_DIRECT_MAP v12).

    A page leaves the direct map at its first use, under the folio lock, and returns when it leaves the page cache.
    """

    provides = (NO_DIRECT_MAP,)
    supports = frozenset({"gmem-ndm"})
    structs = (NoDirectMapPage,)

    def make_uptodate(self, mapping: AddressSpace, page: Page) -> None:
        """Remove the page from the direct map after it was zeroed: kvm_gmem_folio_zap_direct_map()."""
        super().make_uptodate(mapping, page)
        assert isinstance(page, NoDirectMapPage)
        if mapping.no_direct_map and not page.direct_map_removed:
            self.zap_direct_map(page)
            page.direct_map_removed = True

    def kvm_gmem_free_folio(self, page: Page) -> None:
        """Return the page to the direct map, after the architecture's reclaim."""
        super().kvm_gmem_free_folio(page)
        assert isinstance(page, NoDirectMapPage)
        if page.direct_map_removed:
            self.set_direct_map_default_noflush(page)
            page.direct_map_removed = False
