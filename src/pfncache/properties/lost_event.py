# SPDX-License-Identifier: GPL-2.0-only
"""An event that is pending in shared_info is signalled to its vCPU, or noted for the vCPU's next run."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class LostEventProbe(Oracle):
    """Counts the events that are set in shared_info and not yet in vcpu_info."""

    @atomic
    def trace_evtchn_pending(self, kvm: Kvm) -> None:
        """Count an event whose bit in shared_info was clear before."""
        super().trace_evtchn_pending(kvm)
        kvm.xen.events_owed += 1

    @atomic
    def trace_evtchn_signalled(self, kvm: Kvm, all_of_them: bool) -> None:
        """Discount one event, or all that were noted."""
        super().trace_evtchn_signalled(kvm, all_of_them)
        if all_of_them:
            kvm.xen.events_owed = 0
        elif kvm.xen.events_owed > 0:
            kvm.xen.events_owed -= 1

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that the vCPU's next run signals what is owed."""
        super().trace_quiescent(kvm)
        noted: bool = False
        for vcpu in kvm.vcpus:
            noted = noted or vcpu.xen.evtchn_pending_sel
        if kvm.xen.events_owed > 0 and not noted:
            report("lost-event", "an event is pending in shared_info, but no vCPU is or will be signalled")


LOST_EVENT = Property(
    "lost-event",
    "an event is set in shared_info, but neither in vcpu_info nor noted for the vCPU's next run",
    LostEventProbe,
)
