# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: the timer of a Xen guest's vCPU."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.kvm.xen.evtchn import EWOULDBLOCK, XenEvtchn
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock


class XenTimer(XenEvtchn):
    """The functions of arch/x86/kvm/xen.c for timers."""

    def xen_timer_callback(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Deliver the event of an expired timer; if the fast path cannot, leave it pending for the vCPU's next run.

        Linux: arch/x86/kvm/xen.c xen_timer_callback(), v7.3.4.
        Locks: hard-irq context, or xen_lock and SRCU.
        """
        if vcpu.xen.timer_pending:
            return
        if self.kvm_xen_set_evtchn_fast(kvm, vcpu) != -EWOULDBLOCK:
            return
        vcpu.xen.timer_pending = True
        self.kvm_vcpu_kick(vcpu)

    def kvm_xen_start_timer(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Start a timer that has already expired: its event is delivered at once (since v6.9: 7a36d680658b).

        Linux: arch/x86/kvm/xen.c kvm_xen_start_timer(), v7.3.4.
        Locks: xen_lock, SRCU.
        Simplified: the hrtimer of a timer that expires later is a separate actor, which runs xen_timer_callback().
        """
        vcpu.xen.timer_pending = False
        self.xen_timer_callback(kvm, vcpu)

    @part_of("kvm_xen_vcpu_set_attr")
    def start_expired_timer(self, vcpu: KvmVcpu) -> Errno:
        """Set a timer that has already expired: KVM_XEN_VCPU_ATTR_TYPE_TIMER of KVM_XEN_VCPU_SET_ATTR.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Returns: 0.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            self.kvm_xen_start_timer(kvm, vcpu)
        return 0

    def kvm_xen_inject_timer_irqs(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Deliver the event of a pending timer.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_timer_irqs(), v7.3.4.
        Locks: vcpu.mutex, SRCU; may sleep.
        """
        if vcpu.xen.timer_pending:
            self.kvm_xen_set_evtchn(kvm, vcpu)
            vcpu.xen.timer_pending = False
