# SPDX-License-Identifier: GPL-2.0-only
"""Reference lookups without side effects, for probes. They take no lock and are part of the step that calls them."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gfn, Gpa
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Hva, Kva, Pfn
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

NOTHING = -1
"""No page: a lookup would fail, or allocate one."""


def found(pfn: Pfn) -> str:
    """Describe the result of a lookup, for reports."""
    return f"pfn {pfn}" if pfn >= 0 else "no page"


class Oracle(KvmMm):
    """Reference lookup without side effects: the page that each kind of lookup would return now."""

    def oracle_user_page(self, mm: MmStruct, hva: Hva) -> Pfn:
        """Return the page of a user address: by its PTE, or in the page cache that its VMA maps."""
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

    def oracle_gmem_page(self, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page of gfn in the slot's guest_memfd."""
        file = slot.gmem_file
        if file is None:
            return NOTHING
        page = file.f_mapping.i_pages[slot.gmem_pgoff + gfn - slot.base_gfn].page
        return NOTHING if page is None else page.pfn

    def oracle_slot(self, kvm: Kvm, gfn: Gfn) -> KvmMemorySlot | None:
        """Return the slot of gfn in the active set; None also for an INVALID slot."""
        slots = kvm.memslots
        assert slots is not None
        for entry in slots.entries:
            slot = entry.slot
            if slot is not None and slot.base_gfn <= gfn < slot.base_gfn + slot.npages and not slot.invalid:
                return slot
        return None

    def oracle_guest_page(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page that a TDP fault of the guest on gfn would map."""
        if slot.guest_memfd and (slot.gmem_only or kvm.mem_attr_array[gfn].private):
            return self.oracle_gmem_page(slot, gfn)
        hva = slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)
        return self.oracle_user_page(kvm.mm, hva)

    def oracle_cached_page(self, gpc: GfnToPfnCache) -> Pfn:
        """Return the page that a refresh of the cache would find."""
        kvm = gpc.kvm
        assert kvm is not None
        slot = gpc.memslot
        if gpc.gpa != INVALID_GPA and slot is not None and self.gpc_is_gmem_backed(gpc):
            if slot.gmem_file is None:
                # The file is being released. Its pages stay until the release has invalidated the caches.
                return gpc.pfn
            return self.oracle_gmem_page(slot, gpc.gpa >> self.PAGE_SHIFT)
        return self.oracle_user_page(kvm.mm, gpc.uhva)

    def oracle_is_write_protected(self, gpc: GfnToPfnCache) -> bool:
        """Return whether the user's PTE of a cached page is present and read-only; a lookup has FOLL_WRITE."""
        kvm = gpc.kvm
        assert kvm is not None
        slot = gpc.memslot
        if gpc.gpa != INVALID_GPA and slot is not None and self.gpc_is_gmem_backed(gpc):
            return False
        pte = kvm.mm.ptes[gpc.uhva >> self.PAGE_SHIFT]
        return pte.pfn == gpc.pfn and not pte.writable

    def oracle_is_cached(self, khva: Kva) -> bool:
        """Return whether a valid pfncache has the kernel address."""
        for mm in self.mms:
            for kvm in mm.notifiers:
                for gpc in kvm.gpcs:
                    if gpc.valid and self.PAGE_ALIGN_DOWN(gpc.khva) == self.PAGE_ALIGN_DOWN(khva):
                        return True
        return False

    def oracle_is_private(self, kvm: Kvm, gpa: Gpa) -> bool:
        """Return whether the guest has made gpa private."""
        return kvm.mem_attr_array[gpa >> self.PAGE_SHIFT].private
