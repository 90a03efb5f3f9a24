# SPDX-License-Identifier: GPL-2.0-only
"""Two writers update one PV structure of the guest at a time, or one never ends its update."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm
from pfncache.linux.include.trace.events.kvm import Tracepoints
from pfncache.properties.property import Property


class TornUpdateProbe(Tracepoints):
    """Checks the start of each update of a pvclock structure, whose version is even only while it is consistent."""

    @atomic
    def trace_pv_begin(self, gpc: GfnToPfnCache) -> None:
        """Require that no other update is in progress."""
        super().trace_pv_begin(gpc)
        if gpc.updating:
            report(
                "torn-update", f"{gpc} is being written by another task: an even version may cover half of each update"
            )

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that the guest can read each structure: an odd version that stays makes it spin without end."""
        super().trace_quiescent(kvm)
        for gpc in kvm.gpcs:
            if gpc.updating:
                report("torn-update", f"the structure of {gpc} has an odd version when all is done")


TORN_UPDATE = Property(
    "torn-update",
    "two updates of one PV structure overlap, and the guest may read half of each; or one never ends",
    TornUpdateProbe,
)
