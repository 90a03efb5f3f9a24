# SPDX-License-Identifier: GPL-2.0-only
"""Faulty patches of virt/kvm/guest_memfd.c, each as an edit by function and place, with what a search finds."""

from __future__ import annotations

from tests.csource.edits import condition, drop, insert, place, substitute, swap
from tests.csource.kvm.fault import Fault

GMEM = "virt/kvm/guest_memfd.c"

FAULTS = {
    "private-page-for-user-space": Fault(
        "kvm_gmem_fault_user_mapping",
        condition(place("kvm_gmem_is_shared_mem"), "0"),
        "private/user-mapping",
        "private-access",
        GMEM,
    ),
    "error-unlocked": Fault(
        "kvm_gmem_error_folio",
        drop(place("filemap_invalidate_lock_shared"), place("filemap_invalidate_unlock_shared")),
        "gmem/dying-file",
        "use-after-free",
        GMEM,
    ),
    "bind-over-a-binding": Fault(
        "kvm_gmem_commit_memory_region", condition(place("xa_find"), "0"), "gmem/bind-twice", "stale-spte", GMEM
    ),
    "refused-file-leaks": Fault(
        "kvm_gmem_prepare_memory_region", drop(place("fput")), "gmem/bind-past-the-end", "leak", GMEM
    ),
    "punch-unlocked": Fault(
        "kvm_gmem_punch_hole",
        drop(place("filemap_invalidate_lock"), place("filemap_invalidate_unlock")),
        "gmem/bind-and-punch",
        "warn-on",
        GMEM,
    ),
    "punch-keeps-mappings": Fault(
        "kvm_gmem_punch_hole", drop(place("kvm_gmem_invalidate_start")), "gmem/toggle-flag", "warn-on", GMEM
    ),
    "punch-never-ends": Fault(
        "kvm_gmem_punch_hole", drop(place("kvm_gmem_invalidate_end")), "gmem/toggle-flag", "counter-imbalance", GMEM
    ),
    "punch-ends-too-early": Fault(
        "kvm_gmem_punch_hole",
        swap(place("truncate_inode_pages_range"), place("kvm_gmem_invalidate_end")),
        "gmem/guest-faults",
        "stale-spte",
        GMEM,
    ),
    "punch-truncates-first": Fault(
        "kvm_gmem_punch_hole",
        swap(place("kvm_gmem_invalidate_start"), place("truncate_inode_pages_range")),
        "gmem/guest-faults",
        "stale-spte",
        GMEM,
    ),
    "punch-stays-locked": Fault(
        "kvm_gmem_punch_hole", drop(place("filemap_invalidate_unlock")), "gmem/bind-and-punch", "deadlock", GMEM
    ),
    "invalidate-without-mmu-lock": Fault(
        "__kvm_gmem_invalidate_start",
        drop(place("KVM_MMU_LOCK"), place("KVM_MMU_UNLOCK")),
        "gmem/toggle-flag",
        "lock-assertion",
        GMEM,
    ),
    "invalidate-unmaps-nothing": Fault(
        "__kvm_gmem_invalidate_start", drop(place("flush kvm_mmu_unmap_gfn_range")), "gmem/toggle-flag", "warn-on", GMEM
    ),
    "invalidate-counts-each-slot": Fault(
        "__kvm_gmem_invalidate_start", drop(place("found_memslot true")), "gmem/toggle-flag", "deadlock", GMEM
    ),
    "invalidate-range-too-short": Fault(
        "__kvm_gmem_invalidate_start",
        substitute("min\\(pgoff \\+ slot->npages, end\\) - pgoff", "max(pgoff, start) - pgoff"),
        "gmem/guest-faults",
        "stale-spte",
        GMEM,
    ),
    "end-without-mmu-lock": Fault(
        "__kvm_gmem_invalidate_end",
        drop(place("KVM_MMU_LOCK"), place("KVM_MMU_UNLOCK")),
        "gmem/toggle-flag",
        "lock-assertion",
        GMEM,
    ),
    "end-never": Fault(
        "__kvm_gmem_invalidate_end", condition(place("xa_find"), "0"), "gmem/toggle-flag", "counter-imbalance", GMEM
    ),
    "release-without-slots-lock": Fault(
        "kvm_gmem_release",
        drop(place("mutex_lock"), place("mutex_unlock")),
        "gmem/fault-and-close",
        "use-after-free",
        GMEM,
    ),
    "release-keeps-file": Fault(
        "kvm_gmem_release",
        substitute("WRITE_ONCE\\(slot->gmem.file, NULL\\);", "{ }"),
        "gmem/dying-file",
        "use-after-free",
        GMEM,
    ),
    "release-keeps-mappings": Fault(
        "kvm_gmem_release",
        drop(place("__kvm_gmem_invalidate_start"), place("__kvm_gmem_invalidate_end")),
        "gmem/fault-and-close",
        "stale-spte",
        GMEM,
    ),
    "release-stays-listed": Fault(
        "kvm_gmem_release", drop(place("list_del")), "gmem/dying-file", "use-after-free", GMEM
    ),
    "release-keeps-vm": Fault("kvm_gmem_release", drop(place("kvm_put_kvm")), "gmem/fault-and-close", "leak", GMEM),
    "allocate-leaks": Fault(
        "kvm_gmem_allocate", drop(place("folio_put")), "clock/gmem/allocate", "refcount-imbalance", GMEM
    ),
    "allocate-stays-locked": Fault(
        "kvm_gmem_allocate",
        drop(place("filemap_invalidate_unlock_shared")),
        "pairs/gmem/punch+allocate",
        "deadlock",
        GMEM,
    ),
    "error-keeps-mappings": Fault(
        "kvm_gmem_error_folio",
        drop(place("kvm_gmem_invalidate_start"), place("kvm_gmem_invalidate_end")),
        "gmem/fault-and-failure",
        "stale-spte",
        GMEM,
    ),
    "error-never-ends": Fault(
        "kvm_gmem_error_folio",
        drop(place("kvm_gmem_invalidate_end")),
        "gmem/fault-and-failure",
        "counter-imbalance",
        GMEM,
    ),
    "bind-nothing": Fault(
        "kvm_gmem_commit_memory_region",
        drop(place("xa_store_range xa_err")),
        "gmem/fault-and-rebind",
        "uninitialised-read",
        GMEM,
    ),
    "unbind-keeps-binding": Fault(
        "kvm_gmem_unbind", drop(place("xa_store_range")), "gmem/fault-and-rebind", "use-after-free", GMEM
    ),
    "lookup-of-poison": Fault(
        "__kvm_gmem_get_pfn", condition(place("folio_test_hwpoison"), "0"), "gmem/fault-and-failure", "stale-spte", GMEM
    ),
    "lookup-in-closed-file": Fault(
        "kvm_gmem_get_pfn", condition(place("file"), "0"), "gmem/fault-and-close", "null-dereference", GMEM
    ),
    "lookup-stays-locked": Fault(
        "kvm_gmem_get_pfn", drop(place("folio_unlock")), "gmem/guest-faults", "deadlock", GMEM
    ),
    "lookup-without-reference": Fault(
        "kvm_gmem_get_pfn",
        insert(place("folio_unlock"), "folio_put(folio);"),
        "gmem/guest-faults",
        "refcount-imbalance",
        GMEM,
    ),
}
"""By name: the fault, and the first property that its scenario violates."""

HARMLESS = {
    # Only TDX has a root for private memory of its own: elsewhere zapping ignores the filter, as in zap-private-only.
    "filter-always-shared": Fault(
        "kvm_gmem_get_invalidate_filter",
        condition(place("GUEST_MEMFD_FLAG_INIT_SHARED"), "1"),
        "private/faults",
        "",
        GMEM,
    ),
    # A page that is allocated while a hole is punched stays or goes, as one that the guest faults in, without the lock.
    "allocate-unlocked": Fault(
        "kvm_gmem_allocate",
        drop(place("filemap_invalidate_lock_shared"), place("filemap_invalidate_unlock_shared")),
        "gmem/guest-faults",
        "",
        GMEM,
    ),
}
"""Patches of the same kinds that change nothing that the guest or user space can see."""
