# SPDX-License-Identifier: GPL-2.0-only
"""Faulty patches of memslots, lookups and the end of a VM in kvm_main.c, each an edit with what a search finds."""

from __future__ import annotations

from tests.csource.edits import condition, drop, place, substitute, swap
from tests.csource.kvm.fault import Fault

MAIN = "virt/kvm/kvm_main.c"

FAULTS = {
    "vm-stays": Fault("kvm_put_kvm", drop(place("kvm_destroy_vm")), "vm/destroy-dontneed", "leak", MAIN),
    "dirty-by-gfn": Fault(
        "mark_page_dirty_in_slot",
        substitute("gfn - memslot->base_gfn", "gfn"),
        "slots/dirty-logging-of-second-page",
        "lost-dirty",
        MAIN,
    ),
    # the swap of the sets
    "swap-during-invalidation": Fault(
        "kvm_swap_active_memslots", condition(place("mn_active_invalidate_count"), "0"),
        "slots/update-during-invalidation", "counter-imbalance", MAIN,
    ),
    "swap-sleeps-too-late": Fault(
        "kvm_swap_active_memslots", swap(place("set_current_state"), place("spin_unlock mn_invalidate_lock")),
        "slots/update-during-invalidation", "deadlock", MAIN,
    ),
    "swap-ignores-readers": Fault(
        "kvm_swap_active_memslots", drop(place("synchronize_srcu_expedited")),
        "slots/steal-time", "use-after-free", MAIN,
    ),
    "swap-stays-locked": Fault(
        "kvm_swap_active_memslots", drop(place("mutex_unlock slots_arch_lock")), "slots/move", "deadlock", MAIN
    ),
    "swap-keeps-generation": Fault(
        "kvm_swap_active_memslots", drop(place("gen kvm_arch_nr_memslot_as_ids")),
        "clock/anon/slot-delete", "use-after-free", MAIN,
    ),
    # the changes
    "invalid-slot-is-valid": Fault(
        "kvm_invalidate_memslot", drop(place("invalid_slot flags")),
        "slots/update-during-invalidation", "stale-spte", MAIN,
    ),
    "invalid-slot-keeps-mappings": Fault(
        "kvm_invalidate_memslot", drop(place("kvm_arch_flush_shadow_memslot")),
        "slots/update-during-invalidation", "stale-spte", MAIN,
    ),
    "invalid-slot-unlocked": Fault(
        "kvm_invalidate_memslot", drop(place("mutex_lock slots_arch_lock")), "slots/move", "lock-imbalance", MAIN
    ),
    "delete-from-one-set": Fault(
        "kvm_delete_memslot", drop(place("kvm_replace_memslot")), "slots/steal-time", "use-after-free", MAIN
    ),
    "activate-one-set": Fault(
        "kvm_activate_memslot", drop(place("kvm_replace_memslot")), "slots/move", "list-corruption", MAIN
    ),
    "invalid-slot-leaks": Fault(
        "kvm_set_memslot", drop(place("kfree invalid_slot")), "slots/steal-time", "leak", MAIN
    ),
    "moved-slot-leaks": Fault(
        "kvm_commit_memory_region", drop(place("kfree old")), "slots/move", "leak", MAIN
    ),
    "region-without-slots-lock": Fault(
        "kvm_vm_ioctl_set_memory_region", drop(place("guard slots_lock")), "slots/move", "lock-assertion", MAIN
    ),
    "new-slot-keeps-file": Fault(
        "kvm_set_memory_region", drop(place("fput")), "gmem/bind-and-punch", "leak", MAIN
    ),
    "freed-slot-is-bound": Fault(
        "kvm_free_memslot", drop(place("kvm_gmem_unbind")), "gmem/fault-and-rebind", "use-after-free", MAIN
    ),
    "slots-overlap": Fault(
        "kvm_check_memslot_overlap", substitute("return true;", "return false;"), "slots/overlap",
        "overlapping-slots", MAIN,
    ),
    # the dirty log
    "moved-slot-gets-new-log": Fault(
        "kvm_prepare_memory_region", condition(place("old dirty_bitmap"), "0"), "slots/move-logged", "leak", MAIN
    ),
    "moved-slot-loses-log": Fault(
        "kvm_prepare_memory_region", drop(place("new dirty_bitmap old")), "slots/move-logged", "lost-dirty", MAIN
    ),
    "freed-slot-leaks-log": Fault(
        "kvm_free_memslot", drop(place("kvm_destroy_dirty_bitmap")), "slots/steal-time", "leak", MAIN
    ),
    "no-log": Fault(
        "kvm_prepare_memory_region", condition(place("kvm_use_dirty_bitmap"), "0"), "slots/dirty-logging", "lost-dirty",
        MAIN,
    ),
    "dirty-bit-not-set": Fault(
        "mark_page_dirty_in_slot", drop(place("set_bit_le")), "slots/dirty-logging", "lost-dirty", MAIN
    ),
    # lookups by user address
    "lookup-unlocked": Fault(
        "hva_to_pfn", drop(place("mmap_read_lock"), place("mmap_read_unlock")),
        "clock/pfnmap/munmap", "lock-assertion", MAIN,
    ),
    "lookup-keeps-mmap-lock": Fault(
        "hva_to_pfn", drop(place("mmap_read_unlock")), "clock/pfnmap/munmap", "deadlock", MAIN
    ),
    "lookup-keeps-page-table-lock": Fault(
        "hva_to_pfn_remapped", drop(place("follow_pfnmap_end")), "clock/pfnmap/munmap", "sleeping-in-atomic", MAIN
    ),
    "lookup-without-page": Fault(
        "kvm_resolve_pfn", substitute("\\*kfp->refcounted_page = page;", "*kfp->refcounted_page = NULL;"),
        "gpc/refresh-deactivate", "refcount-imbalance", MAIN,
    ),
    # the end of a VM
    "destroyed-vm-is-notified": Fault(
        "kvm_destroy_vm", drop(place("mmu_notifier_unregister")), "vm/destroy-dontneed", "use-after-free", MAIN
    ),
    "destroyed-vm-is-invalidating": Fault(
        "kvm_destroy_vm", condition(place("mn_active_invalidate_count"), "0"), "vm/destroy-dontneed", "warn-on", MAIN
    ),
    "put-always-destroys": Fault(
        "kvm_put_kvm", condition(place("refcount_dec_and_test"), "refcount_dec_and_test(&kvm->users_count) || 1"),
        "gmem/close-with-vm", "use-after-free", MAIN,
    ),
}  # fmt: skip
"""By name: the fault, and the first property that its scenario violates."""
