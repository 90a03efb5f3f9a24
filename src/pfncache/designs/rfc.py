# SPDX-License-Identifier: GPL-2.0-only
"""The series "KVM: pfncache: Add guest_memfd support to pfncache", as it was posted: RFC v2, v3 and v4."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.no_direct_map import NoDirectMap
from pfncache.designs.requirement import MMU_SEQUENCE, NO_DIRECT_MAP
from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, GmemFile, Kvm, KvmMemorySlot, KvmMemslots, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa, is_error_noslot_pfn
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn, Pgoff
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.virt.kvm.guest_memfd.invalidation import GuestMemfdInvalidation
from pfncache.linux.virt.kvm.kvm_main.attributes import MemAttributes
from pfncache.linux.virt.kvm.pfncache import Pfncache


class ResolvePfnsViaGmem(Patch, Pfncache):
    """KVM: pfncache: Resolve PFNs via kvm_gmem_get_pfn() for gmem-backed GPAs (RFC v4 1/7)."""

    def gpc_is_gmem_backed(self, gpc: GfnToPfnCache) -> bool:
        """Return whether the page comes from guest_memfd: it is private, or guest_memfd serves shared faults too."""
        kvm = gpc.kvm
        assert kvm is not None
        slot = gpc.memslot
        if slot is None or not slot.guest_memfd:
            return False
        return slot.gmem_only or self.kvm_mem_is_private(kvm, self.gpa_to_gfn(gpc.gpa))

    def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
        """Call gpc_to_pfn() instead of hva_to_pfn()."""
        return self.gpc_to_pfn(gpc)

    def gpc_to_pfn(self, gpc: GfnToPfnCache) -> Pfn:
        """Get a gmem-backed page from guest_memfd, any other by its user address."""
        if self.gpc_is_gmem_backed(gpc):
            kvm = gpc.kvm
            assert kvm is not None
            slot = gpc.memslot
            assert slot is not None
            return self.kvm_gmem_get_pfn(kvm, slot, self.gpa_to_gfn(gpc.gpa))
        return self.hva_to_pfn(self.PAGE_ALIGN_DOWN(gpc.uhva))


class MapThroughVmap(Patch, Pfncache):
    """KVM: pfncache: Obtain KHVA via vmap() for gmem with NO_DIRECT_MAP (RFC v4 2/7)."""

    requires = (NO_DIRECT_MAP,)

    def gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> Kva:
        """Map a page without a direct map by vmap()."""
        if self.pfn_valid(pfn) and self.page_lacks_direct_map(pfn):
            self.note_map(gpc, pfn)
            return self.vmap(self.mem_map[pfn])
        return super().gpc_map(gpc, pfn)

    def page_lacks_direct_map(self, pfn: Pfn) -> bool:
        """Return whether the page's mapping has AS_NO_DIRECT_MAP; nothing keeps the inode meanwhile."""
        mapping = self.read_folio_mapping(pfn)
        return mapping is not None and mapping.no_direct_map

    @atomic
    def read_folio_mapping(self, pfn: Pfn) -> AddressSpace | None:
        """Return folio->mapping, read without folio_mapping()."""
        page = self.mem_map[pfn]
        if page.anon:
            report(
                "wild-pointer",
                f"mapping of pfn {pfn}, an anonymous page, is followed as an address_space, tag bits and all",
            )
        return page.mapping

    def gpc_unmap(self, pfn: Pfn, khva: Kva) -> None:
        """Unmap what was mapped by vmap()."""
        if not is_error_noslot_pfn(pfn) and khva != 0 and self.pfn_valid(pfn) and self.is_vmalloc_addr(khva):
            self.vunmap(khva)
            return
        super().gpc_unmap(pfn, khva)


class RenameInvalidateStart(Patch):
    """KVM: Rename invalidate_begin to invalidate_start for consistency (RFC v4 3/7; in 7.2 as 190cc5370a8b)."""

    changes_nothing = "The model has the new name throughout."


class RenameGpcHelper(Patch, Pfncache):
    """KVM: pfncache: Rename invalidate_start() helper (RFC v4 4/7)."""

    def gpc_invalidate_hva_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Invalidate a range of user addresses; the model's MMU notifiers call this by its old name."""
        self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)


class InvalidateOnGmemEvents(RenameGpcHelper, GuestMemfdInvalidation, MemAttributes):
    """KVM: pfncache: Invalidate on gmem invalidation and memattr updates (RFC v4 5/7)."""

    requires = (MMU_SEQUENCE,)

    def _kvm_gmem_invalidate_start(self, f: GmemFile, start: Pgoff, end: Pgoff, private: bool) -> None:
        """Raise the count, then invalidate the caches of the slots that are bound, by their user addresses."""
        kvm = f.kvm
        assert kvm is not None
        with spin_lock(kvm.mn_invalidate_lock):
            self.raise_mn_active_invalidate_count(kvm)
        seen: KvmMemorySlot | None = None
        for index in range(len(f.bindings)):
            if start <= index < end:
                slot = f.bindings[index].slot
                # The xarray has one entry for each slot: the range is the slot's part of [start, end).
                if slot is not None and slot is not seen:
                    seen = slot
                    first = slot.base_gfn + max(slot.gmem_pgoff, start) - slot.gmem_pgoff
                    last = slot.base_gfn + min(slot.gmem_pgoff + slot.npages, end) - slot.gmem_pgoff
                    self.gpc_invalidate_gfn_range(kvm, slot, first, last)
        super()._kvm_gmem_invalidate_start(f, start, end, private)

    def _kvm_gmem_invalidate_end(self, f: GmemFile, start: Pgoff, end: Pgoff) -> None:
        """Lower the count, after the end of the invalidation of guest mappings has incremented mmu_invalidate_seq."""
        super()._kvm_gmem_invalidate_end(f, start, end)
        kvm = f.kvm
        assert kvm is not None
        with spin_lock(kvm.mn_invalidate_lock):
            wake = self.lower_mn_active_invalidate_count(kvm)
        if wake:
            kvm.mn_memslots_update_rcuwait.rcuwait_wake_up()

    def gpc_invalidate_gfn_range(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn) -> None:
        """Invalidate the caches of gfns of a slot, by their user addresses."""
        hva = self.gfn_to_hva_in_slot(slot, start)
        self.gpc_invalidate_hva_range_start(kvm, hva, hva + ((end - start) << self.PAGE_SHIFT))

    def gfn_to_hva_in_slot(self, slot: KvmMemorySlot, gfn: Gfn) -> Hva:
        """Return the user address as __gfn_to_hva_memslot() does, which maps a gfn past the slot to the first one."""
        if gfn - slot.base_gfn >= slot.npages:
            return slot.userspace_addr
        return slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)

    def kvm_vm_set_mem_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Invalidate caches around the update. The memslots are looked up before slots_lock is taken."""
        slots = self.kvm_memslots(kvm)
        with mutex(kvm.slots_lock):
            return self.update_attributes_locked(kvm, slots, start, end, private)

    def update_attributes_locked(self, kvm: Kvm, slots: KvmMemslots, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Do what kvm_vm_set_mem_attributes() does under slots_lock."""
        if self.kvm_range_has_memory_attributes(kvm, start, end, private):
            return 0
        with spin_lock(kvm.mn_invalidate_lock):
            self.raise_mn_active_invalidate_count(kvm)
        for entry in slots.entries:
            slot = entry.slot
            if slot is not None:
                first = max(start, slot.base_gfn)
                last = min(end, slot.base_gfn + slot.npages)
                if first < last:
                    self.gpc_invalidate_gfn_range(kvm, slot, first, last)
        self.handle_gfn_range_start(kvm, start, end, private)
        for gfn in range(len(kvm.mem_attr_array)):
            if start <= gfn < end:
                kvm.mem_attr_array[gfn].private = private
        self.handle_gfn_range_end(kvm, start, end)
        self.end_attribute_invalidation(kvm)
        return 0

    def end_attribute_invalidation(self, kvm: Kvm) -> None:
        """Lower the count. No memslot update can be waiting for it, as slots_lock is held."""
        with spin_lock(kvm.mn_invalidate_lock):
            self.lower_mn_active_invalidate_count(kvm)


class AvoidSilentClockFailures(Patch, X86):
    """KVM: x86: Avoid silent kvm-clock activation failures (RFC v2 1/7; dropped in v3)."""

    def kvm_write_system_time(self, vcpu: KvmVcpu, gpa: Gpa, enable: bool) -> Errno:
        """Fail the MSR write if the cache cannot be activated."""
        vcpu.clock_update = True
        if enable:
            return self.kvm_gpc_activate(vcpu.pv_time, gpa, self.PVCLOCK_SIZE)
        self.kvm_gpc_deactivate(vcpu.pv_time)
        return 0


class RenameInvalidateFields(Patch):
    """KVM: Rename mn_* invalidate-related fields to generic ones (RFC v2 6/7; dropped in v4)."""

    changes_nothing = "The model keeps the names that mainline has."


class InvalidateUpToSlotEnd(InvalidateOnGmemEvents):
    """KVM: pfncache: Invalidate on gmem invalidation and memattr updates (RFC v2 7/7).

    The end of the range is the user address of the gfn that follows it, which is not in the slot if the range reaches
    the end of the slot.
    """

    def gpc_invalidate_gfn_range(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn) -> None:
        """Invalidate an empty range if it reaches the end of the slot."""
        hva_end = self.gfn_to_hva_in_slot(slot, end)
        self.gpc_invalidate_hva_range_start(kvm, self.gfn_to_hva_in_slot(slot, start), hva_end)


BASE = (NoDirectMap,)
"""The series that this one is posted on top of."""
V4 = (ResolvePfnsViaGmem, MapThroughVmap, RenameInvalidateStart, RenameGpcHelper, InvalidateOnGmemEvents)
V3 = (
    ResolvePfnsViaGmem,
    MapThroughVmap,
    RenameInvalidateStart,
    RenameGpcHelper,
    RenameInvalidateFields,
    InvalidateUpToSlotEnd,
)
V2 = (AvoidSilentClockFailures, *V3)
