# SPDX-License-Identifier: GPL-2.0-only
"""Tables for virt/kvm/kvm_main.c: what is taken from the model by hand, and what its functions call."""

from __future__ import annotations

from pfncache.csource.tables import CallEntry, Tables
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.uapi.linux.kvm import KVM_MEMORY_ATTRIBUTE_PRIVATE
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

SETUP = "a VM is made when a scenario is set up, with every record that it will have"
POINTER = "a pointer that RCU or a lock protects, which the model checks"
SEARCH = "a walk of the ids instead of a search of the tree"
NEGATIVE = "an error pfn of the model is negative"
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
        "kvm_get_memory_attributes": "an attribute of the model is a truth value by gfn",
        "kvm_vcpu_map": LATER,
        "kvm_vcpu_kick": "the model has no wait queues of vCPUs",
        "__kvm_vcpu_kick": "the model has no wait queues of vCPUs",
        "kvm_create_vm": SETUP,
        "kvm_destroy_vm": LATER,
        "kvm_get_kvm": LATER,
        "kvm_put_kvm": LATER,
        "kvm_flush_remote_tlbs": "the model has no TLBs",
        "kvm_set_page_accessed": "the model has no LRU lists",
        "kvm_set_page_dirty": "the model has no dirty flags of pages",
        "kvm_sched_out": "the model calls kvm_arch_vcpu_put() in its place",
        "kvm_vcpu_block": "the model has no wait queues of vCPUs",
        "kvm_vcpu_ioctl": "a scenario calls the functions that the ioctls call",
        **{
            name: LATER
            for name in (
                "kvm_free_memslot", "kvm_get_inactive_memslots", "kvm_memslots_get_as_id", "kvm_replace_memslot",
                "check_memory_region_flags", "kvm_swap_active_memslots", "kvm_prepare_memory_region",
                "kvm_commit_memory_region", "kvm_activate_memslot", "kvm_copy_memslot", "kvm_invalidate_memslot",
                "kvm_create_memslot", "kvm_delete_memslot", "kvm_move_memslot", "kvm_update_flags_memslot",
                "kvm_set_memslot", "kvm_check_memslot_overlap", "kvm_set_memory_region",
                "kvm_vm_ioctl_set_memory_region", "kvm_range_has_memory_attributes", "kvm_handle_gfn_range",
                "kvm_pre_set_memory_attributes", "kvm_vm_set_mem_attributes", "kvm_vm_ioctl_set_mem_attributes",
                "hva_to_pfn", "kvm_follow_pfn", "kvm_vcpu_unmap", "__kvm_read_guest_page", "kvm_read_guest_page",
                "kvm_read_guest", "__kvm_write_guest_page", "kvm_write_guest_page", "__kvm_gfn_to_hva_cache_init",
                "kvm_gfn_to_hva_cache_init", "kvm_write_guest_offset_cached", "kvm_read_guest_offset_cached",
                "kvm_read_guest_cached", "mark_page_dirty_in_slot", "__kvm_vcpu_map", "__gfn_to_hva_many",
                "gfn_to_hva_many", "gfn_to_hva_memslot", "gfn_to_hva_memslot_prot", "kvm_write_guest",
            )
        },
    },
    calls={
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
