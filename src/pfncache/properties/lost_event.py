# SPDX-License-Identifier: GPL-2.0-only
"""An event in shared_info is signalled to its vCPU, or noted for its next run, as is the event of a timer."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class LostEventProbe(Oracle):
    """Counts the events that are set in shared_info and not yet in vcpu_info."""

    @atomic
    def trace_evtchn_set(self, kvm: Kvm) -> None:
        """Discharge the timer of the vCPU that the task runs: it has sent the event that the timer left to it."""
        super().trace_evtchn_set(kvm)
        for vcpu in kvm.vcpus:
            if current().running_vcpu is vcpu:
                vcpu.xen.timer.event_owed = False

    @atomic
    def trace_timer_expires(self, vcpu: KvmVcpu) -> None:
        """Note the event of a timer that expires."""
        super().trace_timer_expires(vcpu)
        vcpu.xen.timer.event_owed = True

    @atomic
    def trace_timer_fired(self, vcpu: KvmVcpu) -> None:
        """Discharge a timer that has not left its event to the vCPU, which may have sent it meanwhile."""
        super().trace_timer_fired(vcpu)
        if not vcpu.xen.timer_pending:
            vcpu.xen.timer.event_owed = False

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
        if kvm.users_count != 0 and self.shared_info_is_mapped(kvm):
            for vcpu in kvm.vcpus:
                if vcpu.xen.timer.event_owed and not vcpu.xen.timer_pending:
                    report("lost-event", f"a timer of {vcpu} has expired, but its event is neither set nor pending")

    def shared_info_is_mapped(self, kvm: Kvm) -> bool:
        """Return whether a refresh of shared_info through its user address can succeed; otherwise KVM drops events."""
        gpc = kvm.xen.shinfo_cache
        if not gpc.active or self.kvm_is_error_hva(gpc.uhva):
            return False
        vma = kvm.mm.vmas[gpc.uhva >> self.PAGE_SHIFT]
        if not vma.present or not vma.writable:
            return False
        mapping = vma.mapping
        if mapping is None:
            return True
        page = mapping.i_pages[vma.pgoff].page
        if page is not None and page.hwpoison:
            return False
        return not mapping.no_direct_map


LOST_EVENT = Property(
    "lost-event",
    "an event is set in shared_info, or a timer expires, but it is neither in vcpu_info nor noted for the vCPU",
    LostEventProbe,
)
