# SPDX-License-Identifier: GPL-2.0-only
"""A kernel mapping of NO_DIRECT_MAP memory is there longer than the memory is its owner's."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm_types import Page
from pfncache.properties.oracle import Ghost
from pfncache.properties.property import Property


class AliasOutlivesProbe(Ghost):
    """Looks at each page that goes back to the allocator."""

    @atomic
    def trace_page_free(self, page: Page) -> None:
        """No vmap() of the page is left."""
        super().trace_page_free(page)
        for area in self.vmap_areas:
            if area.busy and area.pfn == page.pfn:
                report("alias-outlives", f"pfn {page.pfn} is freed while {area} still maps it into the kernel")


ALIAS_OUTLIVES = Property(
    "alias-outlives",
    "a kernel alias of memory without direct map outlives its owner's use of the page",
    AliasOutlivesProbe,
)
