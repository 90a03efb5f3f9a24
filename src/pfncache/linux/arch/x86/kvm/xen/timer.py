# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: the timer of a Xen guest's vCPU."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.kvm.xen.evtchn import EWOULDBLOCK, XenEvtchn
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu, KvmVcpuXen
from pfncache.linux.include.linux.preempt import ThreadInfo
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EOPNOTSUPP
from pfncache.linux.kernel.softirq import Softirq


class XenTimer(XenEvtchn, Softirq):
    """The functions of arch/x86/kvm/xen.c for timers."""

    @part_of("__run_hrtimer")
    def expire_timer(self, kvm: Kvm, vcpu: KvmVcpu, interrupted: ThreadInfo) -> None:
        """Run the callback of a timer that expires, in a hard interrupt of the CPU that runs `interrupted`.

        Linux: kernel/time/hrtimer.c __run_hrtimer(), arch/x86/kvm/xen.c xen_timer_callback(), v7.3.4.
        """
        self.irq_enter(interrupted)
        if self.begin_timer_callback(vcpu):
            self.xen_timer_callback(kvm, vcpu)
            self.end_timer_callback(vcpu)
        self.irq_exit()

    @part_of("__run_hrtimer")
    @atomic
    def begin_timer_callback(self, vcpu: KvmVcpu) -> bool:
        """Remove an expired timer from its queue; return False if it was cancelled before.

        Linux: kernel/time/hrtimer.c __run_hrtimer(), arch/x86/kvm/xen.c xen_timer_callback(), v7.3.4.
        Locks: hard-irq context.
        """
        begins = vcpu.xen.timer.begin_callback()
        if begins:
            self.trace_timer_expires(vcpu)
        return begins

    @part_of("__run_hrtimer")
    @atomic
    def end_timer_callback(self, vcpu: KvmVcpu) -> None:
        """Let hrtimer_cancel() go on.

        Linux: kernel/time/hrtimer.c __run_hrtimer(), arch/x86/kvm/xen.c xen_timer_callback(), v7.3.4.
        Locks: hard-irq context.
        """
        vcpu.xen.timer.end_callback()
        self.trace_timer_fired(vcpu)

    def xen_timer_callback(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Deliver the event of an expired timer; if the fast path cannot, leave it pending for the vCPU's next run.

        Linux: arch/x86/kvm/xen.c xen_timer_callback(), v7.3.4.
        Locks: hard-irq context, or xen_lock and SRCU.
        """
        if vcpu.xen.timer_pending:
            return
        self.host_use_timer_port(vcpu)
        if self.kvm_xen_set_evtchn_fast(kvm, vcpu) != -EWOULDBLOCK:
            vcpu.xen.timer_expires = False
            return
        vcpu.xen.timer_pending = True
        vcpu.unblock = True
        self.kvm_vcpu_kick(vcpu)

    @part_of_caller
    def kvmclock_advanced(self, kvm: Kvm) -> int:
        """Advance the clock, in direct execution; return the VM's time in nanoseconds.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate(), kvm_xen_start_timer(), v7.3.4.
        """
        return self.kvmclock_now(kvm)

    def kvm_xen_timer_enabled(self, vcpu: KvmVcpu) -> bool:
        """Return whether the vCPU's timer has a port.

        Linux: arch/x86/kvm/xen.h kvm_xen_timer_enabled(), v7.3.4.
        """
        return self.timer_port(vcpu.xen) != 0

    @part_of_caller
    def timer_port(self, xen: KvmVcpuXen) -> int:
        """Return the port of a timer's event; in the checker, every timer has one.

        Linux: arch/x86/kvm/xen.h kvm_xen_timer_enabled(), v7.3.4.
        """
        return 1

    @part_of_caller
    @host_only
    def host_use_timer_port(self, vcpu: KvmVcpu) -> None:
        """Make the timer's port the event that is sent.

        Linux: arch/x86/kvm/xen.c xen_timer_callback(), v7.3.4.
        """
        current().host_evtchn_port = vcpu.xen.host_timer_virq

    def kvm_xen_start_timer(self, vcpu: KvmVcpu, guest_abs: int) -> None:
        """Start a timer; the event of one that has already expired is delivered at once.

        Linux: arch/x86/kvm/xen.c kvm_xen_start_timer(), v7.3.4.
        Locks: vcpu.mutex, SRCU; may sleep.
        Simplified: the VM has a stable master clock, and no guest calls set_timer_op.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        now = self.guest_now(vcpu)
        if vcpu.xen.timer_expires:
            vcpu.xen.timer.cancel()
        vcpu.xen.timer_pending = False
        vcpu.xen.timer_expires = True
        if guest_abs <= now:
            self.xen_timer_callback(kvm, vcpu)
        else:
            vcpu.xen.timer.start()

    @part_of("kvm_xen_start_timer")
    def guest_now(self, vcpu: KvmVcpu) -> int:
        """Read the guest's clock in vcpu_info, or if that fails in the vCPU's time information, or else the VM's.

        Linux: arch/x86/kvm/xen.c kvm_xen_start_timer(), v7.3.4.
        Locks: vcpu.mutex, SRCU; may sleep.
        Returns: the guest's time, in nanoseconds.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        ret: Errno = -EOPNOTSUPP
        if vcpu.xen.vcpu_info_cache.active:
            ret = self.xen_get_guest_pvclock(vcpu.xen.vcpu_info_cache)
        if ret != 0 and vcpu.xen.vcpu_time_info_cache.active:
            self.xen_get_guest_pvclock(vcpu.xen.vcpu_time_info_cache)
        return self.kvmclock_now(kvm)

    @part_of_caller
    def kvmclock_now(self, kvm: Kvm) -> int:
        """Return the VM's time in nanoseconds: 1 in the checker, whose clock stands still.

        Linux: arch/x86/kvm/xen.c kvm_xen_start_timer(), v7.3.4.
        """
        return 1

    def xen_get_guest_pvclock(self, gpc: GfnToPfnCache) -> Errno:
        """Read the guest's clock through a cache.

        Linux: arch/x86/kvm/xen.c xen_get_guest_pvclock(), v7.3.4.
        Locks: SRCU; may sleep.
        Returns: 0, or the error of the refresh.
        Simplified: the scale of the clock is not tested.
        """
        gpc.lock.read_lock_irq()
        while not self.kvm_gpc_check(gpc, self.PVCLOCK_SIZE):
            gpc.lock.read_unlock_irq()
            ret = self.kvm_gpc_refresh(gpc, self.PVCLOCK_SIZE)
            if ret != 0:
                return ret
            gpc.lock.read_lock_irq()
        self.access_khva(gpc, False)
        gpc.lock.read_unlock_irq()
        return 0

    def kvm_xen_stop_timer(self, vcpu: KvmVcpu) -> None:
        """Stop the timer, and drop its event if it is pending.

        Linux: arch/x86/kvm/xen.c kvm_xen_stop_timer(), v7.3.4.
        Locks: may wait for the callback.
        """
        vcpu.xen.timer.cancel()
        vcpu.xen.timer_expires = False
        vcpu.xen.timer_pending = False

    @part_of("kvm_xen_vcpu_get_attr")
    def timer_attr(self, vcpu: KvmVcpu) -> Errno:
        """Read the timer, after delivering the event of a pending one.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_get_attr(), v7.3.4.
        Locks: vcpu.mutex, xen_lock.
        Returns: 0.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if vcpu.xen.timer_expires:
            vcpu.xen.timer.cancel()
            self.kvm_xen_inject_timer_irqs(kvm, vcpu)
        if vcpu.xen.timer_expires:
            vcpu.xen.timer.start()
        return 0

    def kvm_xen_inject_timer_irqs(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Deliver the event of a pending timer.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_timer_irqs(), v7.3.4.
        Locks: vcpu.mutex; may sleep.
        """
        if vcpu.xen.timer_pending:
            self.host_use_timer_port(vcpu)
            self.kvm_xen_set_evtchn(kvm, vcpu)
            vcpu.xen.timer_expires = False
            vcpu.xen.timer_pending = False

    def kvm_xen_destroy_vcpu(self, vcpu: KvmVcpu) -> None:
        """Stop the timer of a vCPU that is destroyed, and deactivate its caches.

        Linux: arch/x86/kvm/xen.c kvm_xen_destroy_vcpu(), v7.3.4.
        Simplified: no poll_timer, whose callback wakes the vCPU's task and touches no cache.
        """
        if self.kvm_xen_timer_enabled(vcpu):
            self.kvm_xen_stop_timer(vcpu)
        self.kvm_gpc_deactivate(vcpu.xen.runstate_cache)
        self.kvm_gpc_deactivate(vcpu.xen.runstate2_cache)
        self.kvm_gpc_deactivate(vcpu.xen.vcpu_info_cache)
        self.kvm_gpc_deactivate(vcpu.xen.vcpu_time_info_cache)
