# SPDX-License-Identifier: GPL-2.0-only
"""A kernel mapping of NO_DIRECT_MAP memory outlives its owner's use of the memory."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm_types import Page
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class AliasOutlivesProbe(Oracle):
    """Checks each page that is freed to the allocator."""

    @atomic
    def trace_page_free(self, page: Page) -> None:
        """Require that no vmap() of the page is left."""
        super().trace_page_free(page)
        for area in self.vmap_areas:
            if area.busy and area.pfn == page.pfn:
                report("alias-outlives", f"pfn {page.pfn} is freed while {area} still maps it into the kernel")


ALIAS_OUTLIVES = Property(
    "alias-outlives",
    "a kernel alias of memory without a direct map outlives its owner's use of the page",
    AliasOutlivesProbe,
)
