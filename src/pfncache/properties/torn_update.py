# SPDX-License-Identifier: GPL-2.0-only
"""Two writers update one structure of the guest at a time."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_types import GfnToPfnCache
from pfncache.linux.include.trace.events.kvm import Tracepoints
from pfncache.properties.property import Property


class TornUpdateProbe(Tracepoints):
    """Looks where an update of a pvclock structure begins: its version says that it is whole before and after."""

    @atomic
    def trace_pv_begin(self, gpc: GfnToPfnCache) -> None:
        """No other update is going on."""
        super().trace_pv_begin(gpc)
        if gpc.updating:
            report("torn-update", f"{gpc} is being written by somebody else: an even version may be half of each")


TORN_UPDATE = Property(
    "torn-update", "two updates of one PV structure overlap, and the guest may take half of each", TornUpdateProbe
)
