# SPDX-License-Identifier: GPL-2.0-only
"""Tables for virt/kvm/kvm_main.c: what is taken from the model by hand, and what its functions call."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pfncache.csource.tables import CallEntry, EachEntry, Tables
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Errno, Hva, Pfn
from pfncache.linux.include.uapi.linux.kvm import KVM_MEMORY_ATTRIBUTE_PRIVATE
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

SETUP = "a VM is made when a scenario is set up, with every record that it will have"
POINTER = "a pointer that RCU or a lock protects, which the model checks"
SEARCH = "a walk of the ids instead of a search of the tree"
NEGATIVE = "an error pfn of the model is negative"
NOT_YET = (
    "kvm_free_memslot", "kvm_get_inactive_memslots", "kvm_memslots_get_as_id", "kvm_replace_memslot",
    "check_memory_region_flags", "kvm_swap_active_memslots", "kvm_prepare_memory_region",
    "kvm_commit_memory_region", "kvm_activate_memslot", "kvm_copy_memslot", "kvm_invalidate_memslot",
    "kvm_create_memslot", "kvm_delete_memslot", "kvm_move_memslot", "kvm_update_flags_memslot", "kvm_set_memslot",
    "kvm_check_memslot_overlap", "kvm_set_memory_region", "kvm_vm_ioctl_set_memory_region", "hva_to_pfn",
    "kvm_follow_pfn", "kvm_vcpu_unmap", "__kvm_read_guest_page", "kvm_read_guest_page", "kvm_read_guest",
    "__kvm_write_guest_page", "kvm_write_guest_page", "__kvm_gfn_to_hva_cache_init", "kvm_gfn_to_hva_cache_init",
    "kvm_write_guest_offset_cached", "kvm_read_guest_offset_cached", "kvm_read_guest_cached",
    "mark_page_dirty_in_slot", "__kvm_vcpu_map", "kvm_write_guest",
)  # fmt: skip
LATER = "not translated yet: the model's is used"

TABLES = Tables(
    by_hand={
        "__kvm_memslots": POINTER,
        "kvm_memslots": POINTER,
        "____gfn_to_memslot": SEARCH,
        "__gfn_to_memslot": SEARCH,
        "search_memslots": SEARCH,
        "is_error_pfn": NEGATIVE,
        "is_error_noslot_pfn": NEGATIVE,
        "is_noslot_pfn": NEGATIVE,
        "is_sigpending_pfn": NEGATIVE,
        "pfn_to_hpa": "the model's memremap() takes a pfn",
        "kvm_range_has_memory_attributes": "an xarray with a cursor; an attribute of the model is a truth value by gfn",
        "kvm_get_memory_attributes": "an attribute of the model is a truth value by gfn",
        "kvm_vcpu_map": LATER,
        "kvm_vcpu_kick": "the model has no wait queues of vCPUs",
        "__kvm_vcpu_kick": "the model has no wait queues of vCPUs",
        "kvm_release_pfn_clean": "before 6.13 it took a pfn, as the model's functions do",
        "kvm_pfn_to_refcounted_page": "before 6.13 it took a pfn, as the model's functions do",
        "kvm_create_vm": SETUP,
        "kvm_destroy_vm": LATER,
        "kvm_get_kvm": LATER,
        "kvm_put_kvm": LATER,
        "kvm_flush_remote_tlbs": "the model has no TLBs",
        "kvm_set_page_accessed": "the model has no LRU lists",
        "kvm_set_page_dirty": "the model has no dirty flags of pages",
        "kvm_sched_out": "the model calls kvm_arch_vcpu_put() in its place",
        "kvm_vcpu_block": "the model has no wait queues of vCPUs",
        "kvm_vcpu_halt": "the model has no wait queues of vCPUs",
        "kvm_vcpu_srcu_read_lock": LATER,
        "kvm_vcpu_srcu_read_unlock": LATER,
        "kvm_vcpu_check_block": "an upcall of Xen is the only event that the model has",
        "vcpu_load": "a member of the task instead of the CPU",
        "vcpu_put": "a member of the task instead of the CPU",
        "kvm_vcpu_ioctl": "a scenario calls the functions that the ioctls call",
**dict.fromkeys(NOT_YET, LATER),
    },
    each={
        "kvm_for_each_memslot_in_gfn_range": EachEntry(
            "self.memslots_in_gfn_range({1}, {2}, {3})", ("0.slot",), "a walk of the ids instead of the tree"
        )
    },
    calls={
        "array_index_nospec": CallEntry("{0}", "the model has no speculation"),
        "kvm_range_has_memory_attributes": CallEntry(
            "self.attributes_match({0}, {1}, {2}, {4})", "see by_hand", "bool"
        ),
        "xa_mk_value": CallEntry("{0}", "an entry is the number of the attributes"),
        "xa_reserve": CallEntry("0", "a tuple of the model has its memory"),
        "xa_store": CallEntry("self.store_attributes({0:owner}, {1}, {2})", "mem_attr_array is a tuple by gfn"),
        "kvm_get_memory_attributes": CallEntry("self.memory_attributes({0}, {1})", "see by_hand"),
        "kvm_set_page_accessed": CallEntry("", "the model has no LRU lists", "void"),
        "kvm_set_page_dirty": CallEntry("", "the model has no dirty flags of pages", "void"),
    },
)  # fmt: skip


class KvmMainHelpers(KvmMm):
    """What kvm_main.c and kvm_host.h call in another form than the model's functions have."""

    @part_of("kvm_get_memory_attributes")
    def memory_attributes(self, kvm: Kvm, gfn: Gfn) -> int:
        """Return the attributes of a gfn."""
        return KVM_MEMORY_ATTRIBUTE_PRIVATE if kvm.mem_attr_array[gfn].private else 0

    @part_of("kvm_range_has_memory_attributes")
    def attributes_match(self, kvm: Kvm, start: Gfn, end: Gfn, attributes: int) -> bool:
        """Return whether every gfn of a range has the attributes."""
        private = attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE != 0
        for gfn in range(len(kvm.mem_attr_array)):
            if start <= gfn < end and kvm.mem_attr_array[gfn].private != private:
                return False
        return True

    @part_of_caller
    def store_attributes(self, kvm: Kvm, gfn: Gfn, attributes: int) -> int:
        """Store the attributes of a gfn; it cannot fail."""
        kvm.mem_attr_array[gfn].private = attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE != 0
        return 0

    def memslots_in_gfn_range(self, slots: KvmMemslots, start: Gfn, end: Gfn) -> Iterator[KvmMemorySlot]:
        """Yield the slots that have a gfn of [start, end)."""
        for entry in slots.entries:
            slot = entry.slot
            if slot is not None and slot.base_gfn < end and start < slot.base_gfn + slot.npages:
                yield slot


class KvmMainAdapters(KvmMm):
    """The model's functions that take or return something else than the C's: each calls the C's function."""

    c_kvm_vm_ioctl_set_mem_attributes: Callable[..., Errno]
    c_kvm_vm_set_mem_attributes: Callable[..., Errno]
    c_kvm_release_page_clean: Callable[..., None]
    c_kvm_release_page_unused: Callable[..., None]
    c_gfn_to_hva_memslot_prot: Callable[..., tuple[Hva, bool, bool]]

    @part_of("kvm_vm_ioctl_set_mem_attributes")
    def set_memory_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Pass the range in bytes."""
        return self.c_kvm_vm_ioctl_set_mem_attributes(
            kvm,
            attrs_address=start << self.PAGE_SHIFT,
            attrs_size=(end - start) << self.PAGE_SHIFT,
            attrs_attributes=KVM_MEMORY_ATTRIBUTE_PRIVATE if private else 0,
            attrs_flags=0,
        )

    def kvm_vm_set_mem_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Pass the attribute as a bit."""
        return self.c_kvm_vm_set_mem_attributes(kvm, start, end, KVM_MEMORY_ATTRIBUTE_PRIVATE if private else 0)

    def kvm_release_page_clean(self, pfn: Pfn) -> None:
        """Pass the page; a pfn without struct page has no reference."""
        if self.pfn_valid(pfn):
            self.c_kvm_release_page_clean(self.mem_map[pfn])

    def kvm_release_page_unused(self, pfn: Pfn) -> None:
        """Pass the page; a pfn without struct page has no reference."""
        if self.pfn_valid(pfn):
            self.c_kvm_release_page_unused(self.mem_map[pfn])

    def gfn_to_hva_memslot_prot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        """Drop whether the slot is writable."""
        hva, _writable, _is_set = self.c_gfn_to_hva_memslot_prot(slot, gfn, False, False)
        return hva
