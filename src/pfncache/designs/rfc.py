# SPDX-License-Identifier: GPL-2.0-only
"""The series "KVM: pfncache: Add guest_memfd support to pfncache", as it was posted: RFC v2, v3 and v4."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.requirement import MMU_SEQUENCE, NO_DIRECT_MAP
from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, GmemFile, Kvm, KvmMemorySlot, KvmMemslots, KvmVcpu
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Errno, Gfn, Gpa, Hva, Kva, Pfn, Pgoff, is_error_noslot_pfn
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_NO_DIRECT_MAP
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.virt.kvm.guest_memfd.file import GuestMemfdFile
from pfncache.linux.virt.kvm.guest_memfd.memory import GuestMemfd
from pfncache.linux.virt.kvm.kvm_main.attributes import MemAttributes
from pfncache.linux.virt.kvm.pfncache import Pfncache


class NoDirectMap(Patch, GuestMemfdFile):
    """KVM: guest_memfd: Add flag to remove from direct map (NO_DIRECT_MAP v12).

    What the flag does is in the model's guest_memfd; here user space may ask for it.
    """

    provides = (NO_DIRECT_MAP,)

    def kvm_gmem_supported_flags(self, kvm: Kvm) -> int:
        """One more flag, whatever the VM's type."""
        return super().kvm_gmem_supported_flags(kvm) | GUEST_MEMFD_FLAG_NO_DIRECT_MAP


class ResolvePfnsViaGmem(Patch, Pfncache):
    """KVM: pfncache: Resolve PFNs via kvm_gmem_get_pfn() for gmem-backed GPAs (RFC v4 1/7)."""

    def gpc_is_gmem_backed(self, gpc: GfnToPfnCache) -> bool:
        """A GPA in a slot with guest_memfd, that is private or whose guest_memfd serves shared faults too."""
        kvm = gpc.kvm
        assert kvm is not None
        slot = gpc.memslot
        if slot is None or not slot.guest_memfd:
            return False
        return slot.gmem_only or self.kvm_mem_is_private(kvm, self.gpa_to_gfn(gpc.gpa))

    def gpc_to_pfn(self, gpc: GfnToPfnCache) -> Pfn:
        """Ask guest_memfd for what it backs; an HVA-based cache has no slot and goes by its user address."""
        if self.gpc_is_gmem_backed(gpc):
            kvm = gpc.kvm
            assert kvm is not None
            slot = gpc.memslot
            assert slot is not None
            return self.kvm_gmem_get_pfn(kvm, slot, self.gpa_to_gfn(gpc.gpa))
        return super().gpc_to_pfn(gpc)


class MapThroughVmap(Patch, Pfncache):
    """KVM: pfncache: Obtain KHVA via vmap() for gmem with NO_DIRECT_MAP (RFC v4 2/7)."""

    relies_on = (NO_DIRECT_MAP,)

    def gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> Kva:
        """vmap() what has no direct map."""
        if self.pfn_valid(pfn) and self.page_lacks_direct_map(pfn):
            self.note_map(gpc, pfn)
            return self.vmap(self.mem_map[pfn])
        return super().gpc_map(gpc, pfn)

    @atomic
    def page_lacks_direct_map(self, pfn: Pfn) -> bool:
        """Whether the page's mapping says AS_NO_DIRECT_MAP; read raw, though an anonymous page has none."""
        page = self.mem_map[pfn]
        if page.anon:
            report(
                "wild-pointer",
                f"mapping of pfn {pfn}, an anonymous page, is followed as an address_space, tag bits and all",
            )
        mapping = page.mapping
        return mapping is not None and mapping.no_direct_map

    def gpc_unmap(self, pfn: Pfn, khva: Kva) -> None:
        """vunmap() what was vmap()ed."""
        if not is_error_noslot_pfn(pfn) and khva != 0 and self.pfn_valid(pfn) and self.is_vmalloc_addr(khva):
            self.vunmap(khva)
            return
        super().gpc_unmap(pfn, khva)


class RenameInvalidateStart(Patch):
    """KVM: Rename invalidate_begin to invalidate_start for consistency (RFC v4 3/7; in 7.2 as 190cc5370a8b).

    The model has the new name throughout.
    """


class RenameGpcHelper(Patch, Pfncache):
    """KVM: pfncache: Rename invalidate_start() helper (RFC v4 4/7)."""

    def gpc_invalidate_hva_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """The new name says that the range is one of user addresses; the MMU notifier's call does the same."""
        self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)


class InvalidateOnGmemEvents(RenameGpcHelper, GuestMemfd, MemAttributes):
    """KVM: pfncache: Invalidate on gmem invalidation and memattr updates (RFC v4 5/7)."""

    relies_on = (MMU_SEQUENCE,)

    def _kvm_gmem_invalidate_start(self, f: GmemFile, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """First the caches, by the user addresses of the slots that are bound. The count goes up in any case."""
        kvm = f.kvm
        assert kvm is not None
        with spin_lock(kvm.mn_invalidate_lock):
            self.raise_mn_active_invalidate_count(kvm)
        seen: KvmMemorySlot | None = None
        for index in range(len(f.bindings)):
            if start <= index < end:
                slot = f.bindings[index].slot
                # One entry of the xarray for each slot: the range is the slot's part of [start, end).
                if slot is not None and slot is not seen:
                    seen = slot
                    first = slot.base_gfn + max(slot.gmem_pgoff, start) - slot.gmem_pgoff
                    last = slot.base_gfn + min(slot.gmem_pgoff + slot.npages, end) - slot.gmem_pgoff
                    self.gpc_invalidate_gfn_range(kvm, slot, first, last)
        super()._kvm_gmem_invalidate_start(f, inode, start, end)

    def _kvm_gmem_invalidate_end(self, f: GmemFile, start: Pgoff, end: Pgoff) -> None:
        """Let refreshes go on, once the invalidation of the guest's mappings has moved the sequence."""
        super()._kvm_gmem_invalidate_end(f, start, end)
        kvm = f.kvm
        assert kvm is not None
        with spin_lock(kvm.mn_invalidate_lock):
            wake = self.lower_mn_active_invalidate_count(kvm)
        if wake:
            kvm.mn_memslots_update_rcuwait.wake_up()

    def gpc_invalidate_gfn_range(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn) -> None:
        """The caches of a slot's gfns, by their user addresses."""
        hva = self.gfn_to_hva_in_slot(slot, start)
        self.gpc_invalidate_hva_range_start(kvm, hva, hva + ((end - start) << self.PAGE_SHIFT))

    def gfn_to_hva_in_slot(self, slot: KvmMemorySlot, gfn: Gfn) -> Hva:
        """gfn_to_hva_memslot() with its guard against speculation: a gfn outside the slot is taken for its first."""
        if gfn - slot.base_gfn >= slot.npages:
            return slot.userspace_addr
        return slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)

    def kvm_vm_set_mem_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Invalidate caches around the update. The memslots are looked up before slots_lock is taken."""
        slots = self.kvm_memslots(kvm)
        with mutex(kvm.slots_lock):
            return self.set_mem_attributes(kvm, slots, start, end, private)

    def set_mem_attributes(self, kvm: Kvm, slots: KvmMemslots, start: Gfn, end: Gfn, private: bool) -> Errno:
        """What kvm_vm_set_mem_attributes() does under slots_lock."""
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
        self.kvm_mem_attributes_start(kvm, start, end)
        for gfn in range(len(kvm.mem_attr_array)):
            if start <= gfn < end:
                kvm.mem_attr_array[gfn].private = private
        self.kvm_mem_attributes_end(kvm, start, end)
        self.kvm_gmem_attributes_end(kvm)
        return 0

    def kvm_gmem_attributes_end(self, kvm: Kvm) -> None:
        """Nobody can be waiting: a memslot update needs slots_lock."""
        with spin_lock(kvm.mn_invalidate_lock):
            self.lower_mn_active_invalidate_count(kvm)


class AvoidSilentClockFailures(Patch, X86):
    """KVM: x86: Avoid silent kvm-clock activation failures (RFC v2 1/7; dropped in v3)."""

    def kvm_write_system_time(self, vcpu: KvmVcpu, gpa: Gpa, enable: bool) -> Errno:
        """The MSR write fails when the cache cannot be activated."""
        vcpu.clock_update = True
        if enable:
            return self.kvm_gpc_activate(vcpu.pv_time, gpa, self.PVCLOCK_SIZE)
        self.kvm_gpc_deactivate(vcpu.pv_time)
        return 0


class RenameInvalidateFields(Patch):
    """KVM: Rename mn_* invalidate-related fields to generic ones (RFC v2 6/7; dropped in v4).

    The model keeps the names that mainline has.
    """


class InvalidateUpToSlotEnd(InvalidateOnGmemEvents):
    """KVM: pfncache: Invalidate on gmem invalidation and memattr updates (RFC v2 7/7).

    The end of the range is the user address of the gfn behind it. When the range reaches the slot's end, that gfn is
    not in the slot.
    """

    def gpc_invalidate_gfn_range(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn) -> None:
        """An empty range, when it reaches the slot's end."""
        hva_end = self.gfn_to_hva_in_slot(slot, end)
        self.gpc_invalidate_hva_range_start(kvm, self.gfn_to_hva_in_slot(slot, start), hva_end)


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
