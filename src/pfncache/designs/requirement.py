# SPDX-License-Identifier: GPL-2.0-only
"""Requirements of patches: what a patch needs of its base, although it applies to a base without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """A property of a base kernel. A design meets it if one of its patches provides it."""

    what: str


MMU_SEQUENCE = Requirement(
    "that the retry test of a refresh reads mmu_invalidate_seq, or that kvm_gmem_invalidate_end() increments the"
    " sequence of pfncache"
)
"""guest_memfd increments mmu_invalidate_seq at the end of an invalidation. Since 7.3.2 (da260bcb56fe) a refresh reads
gpc_invalidate_seq instead."""
NO_DIRECT_MAP = Requirement("GUEST_MEMFD_FLAG_NO_DIRECT_MAP and AS_NO_DIRECT_MAP, which are a separate series")
"""Not in mainline."""
