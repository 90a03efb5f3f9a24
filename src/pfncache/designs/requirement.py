# SPDX-License-Identifier: GPL-2.0-only
"""What a patch takes for granted of its base, and that not every base has: it applies there all the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reliance:
    """One such thing. A design has it if one of its patches provides it."""

    what: str


MMU_SEQUENCE = Reliance(
    "a refresh's test for a retry reading mmu_invalidate_seq, or on kvm_gmem_invalidate_end() moving pfncache's own one"
)
"""guest_memfd moves mmu_invalidate_seq at the end of an invalidation. Since 7.3.2 a refresh looks at another one."""
NO_DIRECT_MAP = Reliance("GUEST_MEMFD_FLAG_NO_DIRECT_MAP and AS_NO_DIRECT_MAP, which a series of their own brings")
"""No mainline has them."""
