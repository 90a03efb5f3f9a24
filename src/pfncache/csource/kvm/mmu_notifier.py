# SPDX-License-Identifier: GPL-2.0-only
"""Tables for the MMU notifiers of virt/kvm/kvm_main.c."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pfncache.csource.tables import CallEntry, EachEntry, Hook, MemberEntry, Tables
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.asm.pgtable_types import PG_LEVEL_4K
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.include.uapi.linux.kvm import KVM_MEMORY_ATTRIBUTE_PRIVATE
from pfncache.linux.virt.kvm.guest_memfd.invalidation import GuestMemfdInvalidation
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMmuNotifier
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

KVM_FILTER_SHARED, KVM_FILTER_PRIVATE = 1, 2

TABLES = Tables(
    config=frozenset({"CONFIG_KVM_GENERIC_MMU_NOTIFIER", "CONFIG_MMU_NOTIFIER"}),
    records={"mmu_notifier": "Kvm", "interval_tree_node": "KvmMemorySlot"},
    containers={
        ("kvm", "mmu_notifier"): MemberEntry("{0}", "a subscription is that of its VM", "Kvm"),
        ("kvm_memory_slot", "hva_node"): MemberEntry("{0}", "a walk yields the slots", "KvmMemorySlot"),
    },
    each={
        "kvm_for_each_memslot_in_hva_range": EachEntry(
            "self.memslots_in_hva_range({1}, {2}, {3})", (0,), "a walk of the ids instead of the interval tree"
        )
    },
    calls={
        "kvm_arch_nr_memslot_as_ids": CallEntry("1", "pfncaches see address space 0 alone"),
        "__kvm_memslots": CallEntry("self._kvm_memslots({0})", "the model has one address space", "KvmMemslots"),
        "mmu_notifier_range_blockable": CallEntry("True", "the model has no OOM killer", "bool"),
        "kvm_arch_guest_memory_reclaimed": CallEntry("", "a cache flush for SEV", "void"),
    },
    null_functions=frozenset({"kvm_null_fn"}),
    stores={
        ("Kvm", "mn_active_invalidate_count++"): Hook("self.hold_count({0})", "lockdep: a memslot update waits for it"),
        ("Kvm", "mn_active_invalidate_count--"): Hook("self.release_count({0})", "lockdep: see the increment"),
    },
)  # fmt: skip


class MmuNotifierHelpers(GuestMemfdInvalidation, KvmMmuNotifier):
    """What the MMU notifiers call in another form than the model's functions have."""

    def memslots_in_hva_range(self, slots: KvmMemslots, start: Hva, last: Hva) -> Iterator[KvmMemorySlot]:
        """Yield the slots whose user addresses overlap [start, last]."""
        for entry in slots.entries:
            slot = entry.slot
            if slot is not None and self.slot_overlaps_hva(slot, start, last + 1):
                yield slot

    @part_of("kvm_arch_pre_set_memory_attributes")
    def zap_old_kind(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn, attributes: int) -> bool:
        """Zap the SPTEs of a range that are of the kind which it has before it gets the attributes."""
        WARN_ON_ONCE(not self.kvm_arch_has_private_mem(kvm), "!kvm_arch_has_private_mem(kvm)")
        private = attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE != 0
        return self.pre_set_attributes(kvm, slot, start, end, private)

    @part_of("kvm_arch_post_set_memory_attributes")
    def update_lpage_info(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn) -> None:
        """Update what a slot knows of its huge pages, in a kernel with huge SPTEs."""
        if self.max_huge_page_level > PG_LEVEL_4K:
            self.post_set_attributes(kvm, slot, start, end)

    @part_of("kvm_unmap_gfn_range")
    def zap_gfn_range(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn, attr_filter: int) -> bool:
        """Zap the SPTEs of a range that the filter names."""
        is_private, is_shared = attr_filter & KVM_FILTER_PRIVATE != 0, attr_filter & KVM_FILTER_SHARED != 0
        return self.unmap_slot_range(kvm, slot, start, end, is_private, is_shared)


class MmuNotifierAdapters(KvmMm):
    """The notifiers as mm/ of the model calls them."""

    c_kvm_mmu_notifier_invalidate_range_start: Callable[..., int]
    c_kvm_mmu_notifier_release: Callable[..., None]
    c_kvm_mmu_notifier_invalidate_range_end: Callable[..., None]

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Pass the range as a structure."""
        self.c_kvm_mmu_notifier_invalidate_range_start(kvm, range_start=start, range_end=end)

    def kvm_mmu_notifier_release(self, kvm: Kvm) -> None:
        """Pass the address space too."""
        self.c_kvm_mmu_notifier_release(kvm, kvm.mm)

    def kvm_mmu_notifier_invalidate_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Pass the range as a structure."""
        self.c_kvm_mmu_notifier_invalidate_range_end(kvm, range_start=start, range_end=end)
