# SPDX-License-Identifier: GPL-2.0-only
"""A valid cache has a page that a lookup would no longer return, or that the process may no longer write."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.properties.oracle import Oracle, found
from pfncache.properties.property import Property


class StaleTranslationProbe(Oracle):
    """Checks each use of a cache that passed kvm_gpc_check()."""

    @atomic
    def trace_gpc_access(self, gpc: GfnToPfnCache) -> None:
        """Compare the page with the one that a lookup for writing would find, and with the one that was mapped."""
        super().trace_gpc_access(gpc)
        now = self.oracle_cached_page(gpc)
        if now != gpc.pfn:
            report("stale-translation", f"{gpc} is valid with pfn {gpc.pfn}, but a lookup would now find {found(now)}")
        if self.offset_in_page(gpc.khva) != self.offset_in_page(gpc.uhva):
            report(
                "stale-translation",
                f"{gpc} is valid with khva {gpc.khva:#x}, which is another offset than uhva's {gpc.uhva:#x}",
            )
        if self.pfn_valid(gpc.pfn) and self.mem_map[gpc.pfn].incarnation != gpc.tag:
            report("stale-translation", f"{gpc} is valid with pfn {gpc.pfn} of a previous owner")
        if self.oracle_is_write_protected(gpc):
            report("stale-translation", f"{gpc} is valid with pfn {gpc.pfn}, but its PTE is no longer writable")


STALE_TRANSLATION = Property(
    "stale-translation",
    "a valid cache is used although its pfn is not what a lookup for writing would return now",
    StaleTranslationProbe,
)
