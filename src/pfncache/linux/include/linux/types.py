# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/kvm_types.h, errno.h: the kernel's scalar types, with the room that the checker gives them."""

from __future__ import annotations

from typing import Annotated

from pfncache.lang.records import Bound

Address = Annotated[int, Bound(0, 63)]
"""Any virtual address of the host, user or kernel."""
Hva = Annotated[int, Bound(0, 63)]
"""Host virtual address of the process that owns the VM."""
Kva = Annotated[int, Bound(0, 63)]
"""Kernel virtual address; NULL is 0."""
Gpa = Annotated[int, Bound(-1, 14)]
"""Guest physical address; INVALID_GPA is all ones."""
Gfn = Annotated[int, Bound(-1, 7)]
"""Guest frame number."""
Pfn = Annotated[int, Bound(-8, 7)]
"""Page frame number of the host; the negative ones are KVM's error pfns."""
Pgoff = Annotated[int, Bound(0, 7)]
"""Index of a page in a file."""
Errno = Annotated[int, Bound(-255, 0)]
"""0 or a negative errno."""
Generation = Annotated[int, Bound(0, 63)]
"""Memslot generation, with a bit that says that an update is in progress."""
Sequence = Annotated[int, Bound(0, 15, wraps=3)]
"""A sequence counter, which nobody asks for more than whether it has changed. A scenario that ends is too short for it
to wrap."""
Incarnation = Annotated[int, Bound(0, 7)]
"""How often a page was handed out by the allocator: tells two owners of the same pfn apart."""
Flags = Annotated[int, Bound(0, 15)]

INVALID_GPA = -1

KVM_PFN_ERR_FAULT = -1
KVM_PFN_ERR_HWPOISON = -2
KVM_PFN_ERR_RO_FAULT = -3
KVM_PFN_ERR_SIGPENDING = -4
KVM_PFN_NOSLOT = -6


def is_error_pfn(pfn: Pfn) -> bool:
    """is_error_pfn(): not a page frame, but the reason why there is none (KVM_PFN_NOSLOT is not an error).

    Linux: include/linux/kvm_host.h is_error_pfn(), v7.3.4.
    """
    return pfn < 0 and pfn != KVM_PFN_NOSLOT


def is_error_noslot_pfn(pfn: Pfn) -> bool:
    """is_error_noslot_pfn(): not a page frame.

    Linux: include/linux/kvm_host.h is_error_noslot_pfn(), v7.3.4.
    """
    return pfn < 0
