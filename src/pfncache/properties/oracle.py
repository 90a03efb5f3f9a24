# SPDX-License-Identifier: GPL-2.0-only
"""What a lookup would find now. For probes only: it takes no lock and is part of the step that asks."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gfn, GfnToPfnCache, Gpa
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

NOTHING = -1
"""No page: a lookup would fail, or bring in a new one."""


def found(pfn: Pfn) -> str:
    """A lookup's answer in words, for reports."""
    return f"pfn {pfn}" if pfn >= 0 else "no page"


class Ghost(KvmMm):
    """Lookups without side effects."""

    def ghost_user_page(self, mm: MmStruct, hva: Hva) -> Pfn:
        """The page that user space has at hva: by its PTE, or in the page cache that the VMA maps."""
        pte = mm.ptes[hva >> self.PAGE_SHIFT]
        if pte.pfn >= 0:
            return pte.pfn
        vma = mm.vmas[hva >> self.PAGE_SHIFT]
        if not vma.present:
            return NOTHING
        mapping = vma.mapping
        if mapping is None:
            return NOTHING
        page = mapping.i_pages[vma.pgoff].page
        return NOTHING if page is None else page.pfn

    def ghost_gmem_page(self, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """The page that the slot's guest_memfd has for gfn."""
        file = slot.gmem_file
        if file is None:
            return NOTHING
        page = file.f_mapping.i_pages[slot.gmem_pgoff + gfn - slot.base_gfn].page
        return NOTHING if page is None else page.pfn

    def ghost_slot(self, kvm: Kvm, gfn: Gfn) -> KvmMemorySlot | None:
        """The slot of gfn in the active set; None for an INVALID one too."""
        slots = kvm.memslots
        assert slots is not None
        for entry in slots.entries:
            slot = entry.slot
            if slot is not None and slot.base_gfn <= gfn < slot.base_gfn + slot.npages and not slot.invalid:
                return slot
        return None

    def ghost_guest_page(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """The page that a TDP fault of the guest on gfn would map."""
        if slot.guest_memfd and (slot.gmem_only or kvm.mem_attr_array[gfn].private):
            return self.ghost_gmem_page(slot, gfn)
        hva = slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)
        return self.ghost_user_page(kvm.mm, hva)

    def ghost_cached_page(self, gpc: GfnToPfnCache) -> Pfn:
        """The page that a refresh of the cache would find."""
        kvm = gpc.kvm
        assert kvm is not None
        slot = gpc.memslot
        if gpc.gpa != INVALID_GPA and slot is not None and self.gpc_is_gmem_backed(gpc):
            if slot.gmem_file is None:
                # The file is being released. Its pages are there until the release has invalidated the caches.
                return gpc.pfn
            return self.ghost_gmem_page(slot, gpc.gpa >> self.PAGE_SHIFT)
        return self.ghost_user_page(kvm.mm, gpc.uhva)

    def ghost_is_private(self, kvm: Kvm, gpa: Gpa) -> bool:
        """Whether the guest has made gpa private."""
        return kvm.mem_attr_array[gpa >> self.PAGE_SHIFT].private
