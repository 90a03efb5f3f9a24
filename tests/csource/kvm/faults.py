# SPDX-License-Identifier: GPL-2.0-only
"""Faulty patches of virt/kvm/pfncache.c, each as an edit by function and place, with what a search finds."""

from __future__ import annotations

from tests.csource.edits import both, condition, drop, insert, place
from tests.csource.kvm.fault import Fault

ACTIVE_FIRST = both(
    drop(place("gpc active true")),
    insert(place("spin_lock"), "write_lock_irq(&gpc->lock); gpc->active = true; write_unlock_irq(&gpc->lock);"),
)
"""Two steps swapped inside one hold of refresh_lock."""
LIST_LAST = both(
    drop(place("list_add")),
    insert(
        place("return __kvm_gpc_refresh"),
        "int ret = __kvm_gpc_refresh(gpc, gpa, uhva); spin_lock(&kvm->gpc_lock); "
        "list_add(&gpc->list, &kvm->gpc_list); spin_unlock(&kvm->gpc_lock); return ret;",
    ),
)

FAULTS = {
    # retry tests
    "retry-ignores-count": Fault(
        "mmu_notifier_retry_cache", condition(place("mn_active_invalidate_count"), "0"),
        "clock/anon/dontneed", "stale-translation",
    ),
    "retry-ignores-sequence": Fault(
        "mmu_notifier_retry_cache", insert(place("gpc_invalidate_seq gpc_seq"), "return false;"),
        "clock/anon/munmap", "use-after-free",
    ),
    "retry-never": Fault(
        "hva_to_pfn_retry", condition(place("mmu_notifier_retry_cache"), "0"),
        "clock/anon/munmap", "stale-translation",
    ),
    "sequence-after-lookup": Fault(
        "hva_to_pfn_retry", insert(place("write_lock_irq"), "gpc_seq = gpc->kvm->gpc_invalidate_seq;"),
        "clock/anon/munmap", "use-after-free",
    ),
    # references, mappings and what a refresh stores
    "reused-page-leaks": Fault(
        "hva_to_pfn_retry", drop(place("kvm_release_page_unused")), "clock/anon/dontneed", "refcount-imbalance"
    ),
    "page-leaks": Fault(
        "hva_to_pfn_retry", drop(place("kvm_release_page_clean")), "gpc/refresh-deactivate", "refcount-imbalance"
    ),
    "pfn-stays": Fault(
        "hva_to_pfn_retry", drop(place("gpc pfn new_pfn")), "clock/anon/munmap", "stale-translation"
    ),
    "khva-stays": Fault(
        "__kvm_gpc_refresh", drop(place("khva old_khva page_offset")), "gpc/move-in-page", "stale-translation"
    ),
    "move-keeps-page": Fault(
        "__kvm_gpc_refresh", condition(place("valid hva_change"), "!gpc->valid"),
        "gpc/move-to-other-page", "stale-translation",
    ),
    "old-page-stays-mapped": Fault(
        "__kvm_gpc_refresh", drop(place("gpc_unmap")), "gpc/refresh-twice", "map-imbalance"
    ),
    "generation-stays": Fault(
        "__kvm_gpc_refresh", drop(place("generation slots")), "clock/anon/slot-delete", "livelock"
    ),
    # locks
    "error-without-lock": Fault(
        "hva_to_pfn_retry", drop(place("write_lock_irq", 2)), "clock/anon/munmap", "lock-imbalance"
    ),
    "invalidate-list-unlocked": Fault(
        "gfn_to_pfn_cache_invalidate_start", drop(place("spin_lock"), place("spin_unlock")),
        "gpc/activate-munmap", "list-corruption",
    ),
    "invalidate-unlocked": Fault(
        "gfn_to_pfn_cache_invalidate_start", drop(place("write_lock_irq"), place("write_unlock_irq")),
        "clock/anon/munmap", "use-after-free",
    ),
    "refresh-without-mutex": Fault(
        "kvm_gpc_refresh", drop(place("guard mutex")), "gpc/refresh-twice", "lock-assertion"
    ),
    "activate-without-mutex": Fault(
        "__kvm_gpc_activate", drop(place("guard mutex")), "gpc/activate-twice", "lock-assertion"
    ),
    "list-add-unlocked": Fault(
        "__kvm_gpc_activate", drop(place("spin_lock"), place("spin_unlock")), "gpc/activate-munmap", "list-corruption"
    ),
    "deactivate-without-mutex": Fault(
        "kvm_gpc_deactivate", drop(place("guard mutex")), "gpc/activate-deactivate", "warn-on"
    ),
    "deactivate-unlocked": Fault(
        "kvm_gpc_deactivate", drop(place("write_lock_irq"), place("write_unlock_irq")),
        "gpc/refresh-deactivate", "null-dereference",
    ),
    # tests and marks of a cache that may be used
    "invalidate-nothing": Fault(
        "gfn_to_pfn_cache_invalidate_start", drop(place("gpc valid false")), "clock/anon/munmap", "stale-translation"
    ),
    "check-ignores-generation": Fault(
        "kvm_gpc_check", condition(place("generation"), "0"), "clock/anon/slot-delete", "use-after-free"
    ),
    "check-ignores-valid": Fault(
        "kvm_gpc_check", condition(place("valid"), "0"), "clock/anon/munmap", "use-after-free"
    ),
    "list-after-refresh": Fault("__kvm_gpc_activate", LIST_LAST, "gpc/activate-munmap", "stale-translation"),
    "refresh-inactive": Fault(
        "__kvm_gpc_refresh", condition(place("active"), "0"), "xen/shared-info-moves", "warn-on"
    ),
    "deactivate-keeps-mapping": Fault(
        "kvm_gpc_deactivate", drop(place("gpc_unmap")), "clock/pfnmap/clock-off", "map-imbalance"
    ),
    "not-listed": Fault("__kvm_gpc_activate", drop(place("list_add")), "gpc/activate-munmap", "unlisted-cache"),
    "stays-listed": Fault(
        "kvm_gpc_deactivate", drop(place("list_del")), "gpc/activate-deactivate", "list-corruption"
    ),
    "stays-valid": Fault(
        "kvm_gpc_deactivate", drop(place("valid gpc false")), "gpc/activate-deactivate", "warn-on"
    ),
    "stays-active": Fault(
        "kvm_gpc_deactivate", drop(place("active gpc false")), "gpc/activate-deactivate", "list-corruption"
    ),
}  # fmt: skip
"""By name: the fault, and the first property that its scenario violates."""

HARMLESS = {
    # Each function that clears active clears valid in the same hold of gpc->lock, as in tests/mutation/survivors.json.
    "check-ignores-active": Fault("kvm_gpc_check", condition(place("active"), "0"), "gpc/activate-deactivate", ""),
    # A refresh reads active under refresh_lock, and a cache whose first refresh has not begun is not valid.
    "active-before-list": Fault("__kvm_gpc_activate", ACTIVE_FIRST, "gpc/activate-munmap", ""),
}
"""Patches of the same kinds that change nothing that a user of a cache can see."""
