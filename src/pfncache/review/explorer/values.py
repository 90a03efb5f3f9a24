# SPDX-License-Identifier: GPL-2.0-only
"""Values of the model's structures, as a KVM developer would write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pfncache.lang.records import FREED, FRESH, LIVE, Record
from pfncache.linux.include.linux.kvm_host import EXITING_GUEST_MODE, IN_GUEST_MODE, OUTSIDE_GUEST_MODE
from pfncache.linux.include.linux.kvm_types import (
    INVALID_GPA,
    KVM_PFN_ERR_FAULT,
    KVM_PFN_ERR_HWPOISON,
    KVM_PFN_ERR_RO_FAULT,
    KVM_PFN_ERR_SIGPENDING,
    KVM_PFN_NOSLOT,
)

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Caches": ("GfnToPfnCache", "GfnToHvaCache", "KvmHostMap", "ListEntry", "ListHead"),
    "VM and vCPUs": ("Kvm", "KvmVcpu", "KvmXen", "KvmVcpuXen", "KvmSteal", "KvmApf", "VcpuSevEsState", "Hrtimer"),
    "Memslots": ("KvmMemslots", "MemslotEntry", "KvmMemorySlot", "GmemBinding", "GmemFile", "MemAttrEntry", "DirtyBit"),
    "Page tables": ("Spte", "Pte", "Vma", "VmapArea", "MmStruct"),
    "Pages and files": ("Page", "PageCacheEntry", "AddressSpace", "ShmemFalloc", "File"),
    "Locks": ("Mutex", "RwSemaphore", "SpinLock", "RawSpinLock", "RwLock", "SrcuStruct", "RcuState", "Rcuwait"),
    "Tasks": ("TaskStruct",),
}
"""Parts of the state, in the order in which they are shown; by class of the record."""
OTHER_GROUP = "Other"
MAPPED = frozenset(
    ("Page", "Pte", "Spte", "VmapArea", "KvmMemorySlot", "KvmMemslots", "Kvm", "PageCacheEntry", "GmemBinding",
     "MemslotEntry", "Vma", "MemAttrEntry")
)  # fmt: skip
"""Records that the map of memory is drawn from."""

_ERROR_PFNS = {
    KVM_PFN_ERR_FAULT: "KVM_PFN_ERR_FAULT",
    KVM_PFN_ERR_HWPOISON: "KVM_PFN_ERR_HWPOISON",
    KVM_PFN_ERR_RO_FAULT: "KVM_PFN_ERR_RO_FAULT",
    KVM_PFN_ERR_SIGPENDING: "KVM_PFN_ERR_SIGPENDING",
    KVM_PFN_NOSLOT: "KVM_PFN_NOSLOT",
}
_ENTRIES = ("Pte", "Spte", "VmapArea")
"""Their pfn is -1 where they map nothing."""
_SLAB_STATES = {FRESH: "never allocated", LIVE: "allocated", FREED: "freed"}
_MODES = {
    OUTSIDE_GUEST_MODE: "OUTSIDE_GUEST_MODE",
    IN_GUEST_MODE: "IN_GUEST_MODE",
    EXITING_GUEST_MODE: "EXITING_GUEST_MODE",
}
_ADDRESSES = frozenset(
    ("uhva", "hva", "khva", "userspace_addr", "mn_invalidate_range_start", "mn_invalidate_range_end")
)
_UPDATE_IN_PROGRESS = 1 << 5
"""KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS of the model's small generations."""


def struct_name(record: Record) -> str:
    """Return the name of a record's C structure: ``kvm_vcpu`` of KvmVcpu."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(record).root.__name__).lower()


def group_of(record: Record) -> str:
    """Return the part of the state that a record belongs to."""
    name = type(record).root.__name__
    return next((group for group, names in GROUPS.items() if name in names), OTHER_GROUP)


def is_mapped(record: Record) -> bool:
    """Return whether the map of memory is drawn from a record."""
    return type(record).root.__name__ in MAPPED


def value_text(record: Record, member: str, value: Any) -> str:
    """Return the value of a member of a record."""
    if value is None:
        return "NULL"
    if isinstance(value, Record):
        return value.record_name
    if isinstance(value, bool):
        return str(value).lower()
    if member == "slab_state":
        return _SLAB_STATES[value]
    if member in ("pfn", "vmsa_pa", "tlb", "migration") and value < 0:
        return "none" if member != "pfn" or type(record).root.__name__ in _ENTRIES else _ERROR_PFNS.get(value, "none")
    if member == "gpa" or member.endswith("_gpa"):
        return "INVALID_GPA" if value == INVALID_GPA else hex(value)
    if member in _ADDRESSES:
        return hex(value) if value else "0"
    if member == "generation" and value & _UPDATE_IN_PROGRESS:
        return f"{value & ~_UPDATE_IN_PROGRESS}, update in progress"
    if member == "mode":
        return _MODES[value]
    return str(value)
