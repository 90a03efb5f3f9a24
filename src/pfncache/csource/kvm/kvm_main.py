# SPDX-License-Identifier: GPL-2.0-only
"""Tables for virt/kvm/kvm_main.c: what is taken from the model by hand, and what its functions call."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pfncache.csource.tables import CallEntry, EachEntry, MemberEntry, Tables
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Hva, Pfn
from pfncache.linux.include.uapi.linux.kvm import KVM_MEMORY_ATTRIBUTE_PRIVATE
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

POINTER = "a pointer that RCU or a lock protects, which the model checks"
SEARCH = "a walk of the ids instead of a search of the tree"
NEGATIVE = "an error pfn of the model is negative"

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
        "kvm_vcpu_kick": "the model has no wait queues of vCPUs",
        "__kvm_vcpu_kick": "the model has no wait queues of vCPUs",
        "kvm_vcpu_exiting_guest_mode": "a compare-and-exchange, which is one step of the model",
        "kvm_request_pending": "a request of the model is a member of its own",
        "kvm_release_pfn_clean": "before 6.13 it took a pfn, as the model's functions do",
        "kvm_pfn_to_refcounted_page": "before 6.13 it took a pfn, as the model's functions do",
        "kvm_flush_remote_tlbs": "the model has no TLBs: it waits for vCPUs alone",
        "kvm_set_page_accessed": "the model has no LRU lists",
        "kvm_set_page_dirty": "the model has no dirty flags of pages",
        "kvm_sched_out": "the model calls kvm_arch_vcpu_put() in its place",
        "kvm_vcpu_block": "the model has no wait queues of vCPUs",
        "kvm_vcpu_halt": "the model has no wait queues of vCPUs",
        "kvm_vcpu_check_block": "an upcall of Xen and KVM_REQ_UNBLOCK are the only events that the model has",
        "kvm_get_vcpu": "vCPUs of the model are a tuple by index",
        "kvm_get_vcpu_by_id": "vCPUs of the model are a tuple by index",
        "kvm_make_request": "a request is a member of the vCPU",
        "kvm_make_all_cpus_request": "a request is a member of the vCPU",
        "vcpu_load": "a member of the task instead of the CPU",
        "vcpu_put": "a member of the task instead of the CPU",
        "kvm_vcpu_ioctl": "a scenario calls the functions that the ioctls call",
    },
    members={("KvmVcpu", "____srcu_idx"): MemberEntry("{0}.srcu_idx", "Python mangles names with two underscores")},
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
        "kvm_flush_remote_tlbs": CallEntry("self.flush_if({0}, True)", "see by_hand", "void"),
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
            if current().lookup_has_no_page:
                current().lookup_has_no_page = False
                self.c_kvm_release_page_clean(None)
            else:
                self.c_kvm_release_page_clean(self.mem_map[pfn])

    def kvm_release_page_unused(self, pfn: Pfn) -> None:
        """Pass the page; a pfn without struct page has no reference."""
        if self.pfn_valid(pfn):
            if current().lookup_has_no_page:
                current().lookup_has_no_page = False
                self.c_kvm_release_page_unused(None)
            else:
                self.c_kvm_release_page_unused(self.mem_map[pfn])

    def gfn_to_hva_memslot_prot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        """Drop whether the slot is writable."""
        hva, _writable, _is_set = self.c_gfn_to_hva_memslot_prot(slot, gfn, False, False)
        return hva
