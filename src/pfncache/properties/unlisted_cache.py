# SPDX-License-Identifier: GPL-2.0-only
"""A cache is used that no invalidation can find."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.trace.events.kvm import Tracepoints
from pfncache.properties.property import Property


class UnlistedCacheProbe(Tracepoints):
    """Checks each use of a cache that passed kvm_gpc_check()."""

    @atomic
    def trace_gpc_access(self, gpc: GfnToPfnCache) -> None:
        """Require that a usable cache is on kvm->gpc_list."""
        super().trace_gpc_access(gpc)
        if not gpc.list.listed:
            report("unlisted-cache", f"{gpc} is valid, but not on gpc_list: no invalidation can reach it")


UNLISTED_CACHE = Property(
    "unlisted-cache", "a valid cache is not on gpc_list, so that no invalidation can find it", UnlistedCacheProbe
)
