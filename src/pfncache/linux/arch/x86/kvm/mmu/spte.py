# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/spte.h: shadow page-table entries."""

from __future__ import annotations

from pfncache.lang.records import Record
from pfncache.linux.include.linux.types import Incarnation, Pfn


class Spte(Record):
    """A leaf entry of the TDP page tables: the page that the guest accesses at a gfn."""

    pfn: Pfn = -1
    """-1: not present."""
    private: bool
    """Below the private root (mirror or encrypted), not below the shared one."""
    huge: bool
    """It and its neighbour, the gfn with another last bit, are one entry of level PG_LEVEL_2M."""
    tlb: Pfn = -1
    """What a TLB of the guest may have for the gfn although the SPTE has it no more; -1: nothing."""
    incarnation: Incarnation
    """For reports only: the owner of the page at the time of mapping."""
