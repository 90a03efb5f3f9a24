# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, lookups: from a gfn to its memslot, to its user address, to its page."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.include.linux.kvm_types import (
    KVM_PFN_ERR_FAULT,
    KVM_PFN_ERR_RO_FAULT,
    KVM_PFN_NOSLOT,
    Gfn,
)
from pfncache.linux.include.linux.mm_types import MmStruct, Vma
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.kernel.locking.rwsem import down_read
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class GfnToPfn(KvmMm):
    """The functions that look a guest page up, and those that drop the reference of a lookup."""

    def _gfn_to_memslot(self, slots: KvmMemslots, gfn: Gfn) -> KvmMemorySlot | None:
        """Return the slot of a set that has gfn; it may be an INVALID one.

        Linux: include/linux/kvm_host.h __gfn_to_memslot(), search_memslots(), v7.3.4.
        Locks: SRCU or slots_lock.
        Simplified: a walk of the ids instead of a search of the tree, without the slot that was used last. Linux keeps
        it in the set, and for kvm_vcpu_gfn_to_memslot() in the vCPU, where it is valid for one generation.
        """
        for entry in slots.entries:
            slot = entry.slot
            if slot is not None and slot.base_gfn <= gfn < slot.base_gfn + slot.npages:
                return slot
        return None

    def gfn_to_memslot(self, kvm: Kvm, gfn: Gfn) -> KvmMemorySlot | None:
        """Return the slot of the active set that has gfn.

        Linux: virt/kvm/kvm_main.c gfn_to_memslot(), v7.3.4.
        Locks: SRCU or slots_lock.
        """
        return self._gfn_to_memslot(self.kvm_memslots(kvm), gfn)

    def _gfn_to_hva_many(self, slot: KvmMemorySlot | None, gfn: Gfn, write: bool) -> Hva:
        """Return the user address of gfn; an error for no slot, an INVALID one, or a write to a read-only one.

        Linux: virt/kvm/kvm_main.c __gfn_to_hva_many(), v7.3.4.
        Locks: SRCU or slots_lock.
        """
        if slot is None or slot.invalid:
            return self.KVM_HVA_ERR_BAD
        if slot.readonly and write:
            return self.KVM_HVA_ERR_RO_BAD
        return slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)

    def gfn_to_hva_memslot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        """Return the user address of gfn for writing; pfncaches and gfn_to_hva_caches thus refuse read-only slots.

        Linux: virt/kvm/kvm_main.c gfn_to_hva_memslot(), v7.3.4.
        Locks: SRCU or slots_lock.
        """
        return self._gfn_to_hva_many(slot, gfn, True)

    def gfn_to_hva_memslot_prot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        """Return the user address of gfn for reading.

        Linux: virt/kvm/kvm_main.c gfn_to_hva_memslot_prot(), v7.3.4.
        Locks: SRCU or slots_lock.
        """
        return self._gfn_to_hva_many(slot, gfn, False)

    def hva_to_pfn(self, hva: Hva) -> Pfn:
        """Return the page at a user address, for writing.

        Linux: virt/kvm/kvm_main.c hva_to_pfn(), hva_to_pfn_fast(), hva_to_pfn_slow(), v7.3.4.
        Locks: may sleep.
        Returns: a pfn, with a reference unless it is of a VM_PFNMAP mapping; or an error pfn.
        """
        might_sleep()
        pfn = self.get_user_page_fast_only(hva)
        if pfn >= 0:
            return pfn
        mm = current().mm
        assert mm is not None
        slow = self.get_user_pages_unlocked(mm, hva)
        # KVM_PFN_ERR_FAULT may stand for a VM_PFNMAP address, which GUP refuses; other errors are final.
        if slow != KVM_PFN_ERR_FAULT:
            return slow
        with down_read(mm.mmap_lock):
            vma = self.vma_lookup(mm, hva)
            if vma is None or not vma.pfnmap:
                return KVM_PFN_ERR_FAULT
            return self.hva_to_pfn_remapped(mm, vma, hva)

    def hva_to_pfn_remapped(self, mm: MmStruct, vma: Vma, hva: Hva) -> Pfn:
        """Return the page at an address of a VM_PFNMAP mapping, for writing.

        Linux: virt/kvm/kvm_main.c hva_to_pfn_remapped(), v7.3.4.
        Locks: mmap_lock for reading.
        Returns: a pfn without a reference; KVM_PFN_ERR_RO_FAULT if the PTE is read-only; or KVM_PFN_ERR_FAULT.
        Simplified: without fixup_user_fault(): such mappings of the model have every PTE from mmap() on, as with
        remap_pfn_range(), and no fault handler.
        """
        ret, pfn, writable = self.follow_pfnmap_start(mm, vma, hva)
        if ret != 0:
            return KVM_PFN_ERR_FAULT
        found = pfn if writable else KVM_PFN_ERR_RO_FAULT
        if writable and self.pfn_valid(pfn):
            found = self.resolve_remapped_page(pfn)
        self.follow_pfnmap_end(mm)
        return found

    @part_of("kvm_resolve_pfn")
    def resolve_remapped_page(self, pfn: Pfn) -> Pfn:
        """Return a pfn that has a struct page, on which no reference is taken, since a driver may not count them.

        Linux: virt/kvm/kvm_main.c kvm_resolve_pfn(), v7.3.4 (since 6.13).
        Locks: mmap_lock for reading, the PTE lock.
        """
        current().lookup_has_no_page = True
        return pfn

    def kvm_follow_pfn(self, slot: KvmMemorySlot | None, gfn: Gfn, pin: bool) -> Pfn:
        """Return the page at the user address of gfn, for writing; attributes and guest_memfd play no part.

        Linux: virt/kvm/kvm_main.c kvm_follow_pfn(), v7.3.4.
        Locks: SRCU; may sleep.
        Returns: a pfn, with a reference, or a pin if `pin`, unless it is of a VM_PFNMAP mapping; KVM_PFN_ERR_RO_FAULT
        for a read-only slot; KVM_PFN_NOSLOT without a slot or for an INVALID one; or an error pfn.
        """
        hva = self.gfn_to_hva_memslot(slot, gfn)
        if hva == self.KVM_HVA_ERR_RO_BAD:
            return KVM_PFN_ERR_RO_FAULT
        if self.kvm_is_error_hva(hva):
            return KVM_PFN_NOSLOT
        return self.pin_hva(hva) if pin else self.hva_to_pfn(hva)

    @part_of("hva_to_pfn")
    def pin_hva(self, hva: Hva) -> Pfn:
        """Pin the page at a user address, for writing.

        Linux: virt/kvm/kvm_main.c hva_to_pfn(), hva_to_pfn_fast(), hva_to_pfn_slow(), hva_to_pfn_remapped(), with
        kfp->pin, v7.3.4.
        Locks: may sleep.
        Returns: a pfn with a pin, or an error pfn.
        Simplified: allow_unsafe_mappings is off, so that VM_PFNMAP memory is not looked up.
        """
        might_sleep()
        pfn = self.pin_user_pages_fast(hva)
        if pfn >= 0:
            return pfn
        mm = current().mm
        assert mm is not None
        return self.get_user_pages_unlocked(mm, hva, True, True)

    def _kvm_faultin_pfn(self, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page at the user address of gfn, for the guest to write.

        Linux: virt/kvm/kvm_main.c __kvm_faultin_pfn(), v7.3.4.
        Locks: SRCU; may sleep.
        Returns: as kvm_follow_pfn().
        """
        return self.kvm_follow_pfn(slot, gfn, False)

    def kvm_release_page_unused(self, pfn: Pfn) -> None:
        """Drop the reference of a lookup whose page was not used.

        Linux: include/linux/kvm_host.h kvm_release_page_unused(), v7.3.4.
        Simplified: a pfn instead of a struct page; the pfn of a device has neither struct page nor reference, and that
        of VM_PFNMAP memory with a struct page no reference.
        """
        if self.pfn_valid(pfn):
            if current().lookup_has_no_page:
                current().lookup_has_no_page = False
            else:
                self.put_page(self.mem_map[pfn])

    def kvm_release_page_clean(self, pfn: Pfn) -> None:
        """Drop the reference of a lookup whose page was not written.

        Linux: virt/kvm/kvm_main.c kvm_release_page_clean(), v7.3.4.
        Simplified: as kvm_release_page_unused().
        """
        if self.pfn_valid(pfn):
            if current().lookup_has_no_page:
                current().lookup_has_no_page = False
            else:
                self.put_page(self.mem_map[pfn])
