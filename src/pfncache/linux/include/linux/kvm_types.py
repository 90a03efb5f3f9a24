# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/kvm_types.h: guest addresses; with the error pfns of kvm_host.h."""

from __future__ import annotations

from typing import Annotated

from pfncache.lang.records import Bound
from pfncache.linux.include.linux.types import Pfn

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
