# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/mm/pat/set_memory.c: presence of pages in the direct map."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import Page


class SetMemory(Mm):
    """The direct map's PTEs."""

    @atomic
    def set_direct_map_invalid_noflush(self, page: Page) -> None:
        """Remove a page from the direct map.

        Linux: arch/x86/mm/pat/set_memory.c set_direct_map_invalid_noflush(), v7.3.4.
        Simplified: it cannot fail.
        """
        page.direct_map = False
        if self.tlbs:
            page.direct_map_tlb = True

    @atomic
    def set_direct_map_default_noflush(self, page: Page) -> None:
        """Restore a page in the direct map.

        Linux: arch/x86/mm/pat/set_memory.c set_direct_map_default_noflush(), v7.3.4.
        """
        page.direct_map = True
        if self.tlbs:
            page.direct_map_tlb = False
