# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/kvm_types.h: guest addresses, and the two caches of them; with the error pfns of kvm_host.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pfncache.lang.records import Bound, Record
from pfncache.linux.include.linux.list import ListEntry
from pfncache.linux.include.linux.types import Hva, Incarnation, Kva, Pfn
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.locking.spinlock import RwLock

if TYPE_CHECKING:
    from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot

Gpa = Annotated[int, Bound(-1, 14)]
"""Guest physical address."""
Gfn = Annotated[int, Bound(-1, 7)]
"""Guest frame number."""
Generation = Annotated[int, Bound(0, 63)]
"""Memslot generation; bit 5 is KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS."""

INVALID_GPA = -1

KVM_PFN_ERR_FAULT = -1
KVM_PFN_ERR_HWPOISON = -2
KVM_PFN_ERR_RO_FAULT = -3
KVM_PFN_ERR_SIGPENDING = -4
KVM_PFN_NOSLOT = -6


def is_error_noslot_pfn(pfn: Pfn) -> bool:
    """Return whether pfn is an error pfn or KVM_PFN_NOSLOT, not a page frame.

    Linux: include/linux/kvm_host.h is_error_noslot_pfn(), v7.3.4.
    """
    return pfn < 0


class GfnToHvaCache(Record):
    """struct gfn_to_hva_cache: the user address of a guest physical address."""

    generation: Generation
    gpa: Gpa = INVALID_GPA
    hva: Hva
    memslot: KvmMemorySlot | None


class GfnToPfnCache(Record):
    """struct gfn_to_pfn_cache: a kernel mapping of a guest page.

    Locks: generation to khva and active change under refresh_lock and lock held for writing; valid is also cleared by
    invalidation, under lock for writing; list by gpc_lock and refresh_lock.
    """

    kvm: Kvm | None
    generation: Generation
    gpa: Gpa = INVALID_GPA
    uhva: Hva
    memslot: KvmMemorySlot | None
    pfn: Pfn = KVM_PFN_ERR_FAULT
    khva: Kva
    active: bool
    valid: bool
    list: ListEntry
    lock: RwLock
    refresh_lock: Mutex
    outdated: bool
    """In no kernel: for a design that marks in the cache that its lookup has to be repeated."""
    updating: bool
    """For reports only: a pvclock structure in the page has an odd version, as an update of it is in progress."""
    tag: Incarnation
    """For reports only, as KASAN's pointer tag: the incarnation of the page when khva was made."""
