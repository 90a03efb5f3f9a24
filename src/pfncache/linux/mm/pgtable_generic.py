# SPDX-License-Identifier: GPL-2.0-only
"""mm/pgtable-generic.c: changes of user PTEs."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct


class PgtableGeneric(Mm):
    """The functions of mm/pgtable-generic.c."""

    @atomic
    def ptep_clear_flush(self, mm: MmStruct, number: int) -> None:
        """Make a PTE not present before it is replaced, and flush the TLB. The page keeps its reference and mapcount.

        Linux: mm/pgtable-generic.c ptep_clear_flush(), v7.3.4.
        Locks: the PTE lock.
        """
        mm.ptes[number].pfn = -1
        mm.ptes[number].writable = False
