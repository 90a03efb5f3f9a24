# SPDX-License-Identifier: GPL-2.0-only
"""Two writers update one structure of the guest at a time."""

from __future__ import annotations

from pfncache.kernel.include.linux.kvm_host import GfnToPfnCache
from pfncache.kernel.include.trace.events import Tracepoints
from pfncache.kernel.model import atomic, report
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
