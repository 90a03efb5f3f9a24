# SPDX-License-Identifier: GPL-2.0-only
"""Faulty patches of kvm_main.c and kvm_host.h, each as an edit by function and place, with what a search finds."""

from __future__ import annotations

from tests.csource.edits import both, condition, drop, insert, place, substitute
from tests.csource.kvm.fault import VACUOUS, Fault

HOST = "include/linux/kvm_host.h"
MAIN = "virt/kvm/kvm_main.c"

FAULTS = {
    "release-keeps-sptes": Fault(
        "kvm_mmu_notifier_release", drop(place("kvm_flush_shadow_all")), "vm/exit-guest", "stale-spte", MAIN
    ),
    "range-is-the-last-one": Fault(
        "kvm_mmu_invalidate_range_add", condition(place("INVALID_GPA"), "1"), "gmem/two-holes", "stale-spte", MAIN
    ),
    "writes-to-read-only": Fault(
        "__gfn_to_hva_many", condition(place("memslot_is_readonly"), "0"), "slots/read-only", "readonly-write", MAIN
    ),
    "attributes-stay": Fault("kvm_vm_set_mem_attributes", drop(place("xa_store")), "private/faults", VACUOUS, MAIN),
    "nothing-is-private": Fault(
        "kvm_mem_is_private",
        substitute("return [^;]*;", "return false;"),
        "private/fault-and-convert",
        "stale-spte",
        HOST,
    ),
    "every-cache-by-gpa": Fault(
        "kvm_is_error_gpa", substitute("return [^;]*;", "return false;"), "xen/hva-cache-munmap", VACUOUS, HOST
    ),
    "count-raised-unlocked": Fault(
        "kvm_mmu_notifier_invalidate_range_start",
        drop(place("spin_lock"), place("spin_unlock")),
        "slots/update-during-invalidation",
        "counter-imbalance",
        MAIN,
    ),
    "caches-stay-valid": Fault(
        "kvm_mmu_notifier_invalidate_range_start",
        drop(place("gfn_to_pfn_cache_invalidate_start")),
        "gpc/activate-munmap",
        "stale-translation",
        MAIN,
    ),
    "caches-before-count": Fault(
        "kvm_mmu_notifier_invalidate_range_start",
        both(
            drop(place("gfn_to_pfn_cache_invalidate_start")),
            insert(place("spin_lock"), "gfn_to_pfn_cache_invalidate_start(kvm, range->start, range->end);"),
        ),
        "clock/anon/munmap",
        "stale-translation",
        MAIN,
    ),
    "start-keeps-mappings": Fault(
        "kvm_mmu_notifier_invalidate_range_start",
        condition(place("kvm_handle_hva_range"), "0"),
        "mm/fault-and-unmap",
        "warn-on",
        MAIN,
    ),
    "sequence-not-raised": Fault(
        "kvm_mmu_notifier_invalidate_range_end",
        drop(place("gpc_invalidate_seq")),
        "clock/anon/munmap",
        "use-after-free",
        MAIN,
    ),
    "count-before-sequence": Fault(
        "kvm_mmu_notifier_invalidate_range_end",
        both(
            drop(place("gpc_invalidate_seq")),
            insert(place("wake mn_active_invalidate_count"), "kvm->gpc_invalidate_seq++;"),
        ),
        "clock/anon/munmap",
        "use-after-free",
        MAIN,
    ),
    "waiter-not-woken": Fault(
        "kvm_mmu_notifier_invalidate_range_end",
        condition(place("wake"), "0"),
        "slots/update-during-invalidation",
        "deadlock",
        MAIN,
    ),
    "mmu-sequence-not-raised": Fault(
        "kvm_mmu_invalidate_end", drop(place("mmu_invalidate_seq")), "gmem/guest-faults", "stale-spte", MAIN
    ),
    "mmu-count-not-dropped": Fault(
        "kvm_mmu_invalidate_end",
        drop(place("mmu_invalidate_in_progress")),
        "mm/fault-and-unmap",
        "counter-imbalance",
        MAIN,
    ),
    "range-not-added": Fault(
        "kvm_mmu_unmap_gfn_range", drop(place("kvm_mmu_invalidate_range_add")), "mm/fault-and-unmap", "warn-on", MAIN
    ),
    "walk-without-srcu": Fault(
        "kvm_handle_hva_range",
        drop(place("srcu_read_lock"), place("srcu_read_unlock")),
        "mm/fault-and-unmap",
        "srcu-unprotected",
        MAIN,
    ),
    "walk-without-mmu-lock": Fault(
        "kvm_handle_hva_range",
        drop(place("KVM_MMU_LOCK"), place("KVM_MMU_UNLOCK")),
        "mm/fault-and-unmap",
        "lock-assertion",
        MAIN,
    ),
    "walk-of-another-range": Fault(
        "kvm_handle_hva_range",
        substitute("hva_end \\+ PAGE_SIZE - 1", "hva_start"),
        "pairs/anon/munmap+guest-access",
        "stale-spte",
        MAIN,
    ),
    "attributes-without-slots-lock": Fault(
        "kvm_vm_set_mem_attributes",
        drop(place("mutex_lock"), place("mutex_unlock")),
        "private/conversion-and-slot-update",
        "srcu-unprotected",
        MAIN,
    ),
    "attributes-keep-mappings": Fault(
        "kvm_vm_set_mem_attributes",
        drop(place("kvm_handle_gfn_range pre_set_range")),
        "private/fault-and-convert",
        "warn-on",
        MAIN,
    ),
    "attributes-never-end": Fault(
        "kvm_vm_set_mem_attributes",
        drop(place("kvm_handle_gfn_range post_set_range")),
        "private/fault-and-convert",
        "counter-imbalance",
        MAIN,
    ),
    "retry-gfn-ignores-count": Fault(
        "mmu_invalidate_retry_gfn",
        condition(place("mmu_invalidate_in_progress"), "0"),
        "gmem/guest-faults",
        "stale-spte",
        HOST,
    ),
    "retry-gfn-ignores-sequence": Fault(
        "mmu_invalidate_retry_gfn", condition(place("mmu_invalidate_seq"), "0"), "gmem/guest-faults", "stale-spte", HOST
    ),
    "retry-gfn-never": Fault(
        "mmu_invalidate_retry_gfn",
        insert(place("lockdep_assert_held"), "if (1) return 0;"),
        "gmem/guest-faults",
        "stale-spte",
        HOST,
    ),
    "nothing-marked-dirty": Fault(
        "kvm_gpc_mark_dirty_in_slot", drop(place("mark_page_dirty_in_slot")), "slots/dirty-logging", "lost-dirty", HOST
    ),
    "hva-of-the-slot": Fault(
        "__gfn_to_hva_memslot",
        substitute("return [^;]*;", "return slot->userspace_addr;"),
        "gpc/move-to-other-page",
        "lost-update",
        HOST,
    ),
}
"""By name: the fault, and the first property that its scenario violates."""

HARMLESS = {
    # The address of an invalid slot is good until the grace period of the memslots ends, and its generation is old.
    "invalid-slot-has-an-address": Fault(
        "__gfn_to_hva_many", condition(place("KVM_MEMSLOT_INVALID"), "!slot"), "clock/anon/slot-delete", "", MAIN
    ),
}
"""Patches of the same kinds that change nothing that the guest or user space can see."""
