# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: pages that a Xen guest shares with its hypervisor, some of them reached from hard-irq context."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.kvm.xen.runstate import XenRunstate
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.preempt import ThreadInfo, current_thread_info
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Gpa, Hva
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EINVAL, ENXIO
from pfncache.linux.kernel.kthread import kthread_unuse_mm, kthread_use_mm
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import read_lock_irq
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock

EWOULDBLOCK = EAGAIN


class Xen(XenRunstate):
    """The functions of arch/x86/kvm/xen.c."""

    # shared_info

    @part_of("kvm_xen_hvm_set_attr")
    def set_shared_info(self, kvm: Kvm, gpa: Gpa, uhva: Hva, by_hva: bool) -> Errno:
        """KVM_XEN_HVM_SET_ATTR of KVM_XEN_ATTR_TYPE_SHARED_INFO or SHARED_INFO_HVA.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_set_attr(), v7.3.4.
        Returns: 0, or what activation or refresh returns.
        """
        gpc = kvm.xen.shinfo_cache
        with mutex(kvm.xen.xen_lock):
            with srcu_read_lock(kvm.srcu):
                ret: Errno = (
                    self.kvm_gpc_activate_hva(gpc, uhva, self.PAGE_SIZE)
                    if by_hva
                    else self.kvm_gpc_activate(gpc, gpa, self.PAGE_SIZE)
                )
            if ret == 0 and gpc.active:
                ret = self.kvm_xen_shared_info_init(kvm)
            return ret

    @part_of("kvm_xen_hvm_set_attr")
    def disable_shared_info(self, kvm: Kvm) -> None:
        """KVM_XEN_HVM_SET_ATTR with no address.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_set_attr(), v7.3.4.
        """
        with mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            self.kvm_gpc_deactivate(kvm.xen.shinfo_cache)

    def kvm_xen_shared_info_init(self, kvm: Kvm) -> Errno:
        """Write the wall clock into shared_info.

        Linux: arch/x86/kvm/xen.c kvm_xen_shared_info_init(), v7.3.4.
        Locks: xen_lock.
        Returns: 0, or what refresh returns.
        Simplified: one write instead of the version's protocol.
        """
        gpc = kvm.xen.shinfo_cache
        with srcu_read_lock(kvm.srcu):
            gpc.lock.read_lock_irq()
            while not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                gpc.lock.read_unlock_irq()
                ret = self.kvm_gpc_refresh(gpc, self.PAGE_SIZE)
                if ret != 0:
                    return ret
                gpc.lock.read_lock_irq()
            self.write_shared_wall_clock(kvm, gpc)
            gpc.lock.read_unlock_irq()
        return 0

    @part_of("kvm_xen_shared_info_init")
    @atomic
    def write_shared_wall_clock(self, kvm: Kvm, gpc: GfnToPfnCache) -> None:
        """Write the wall clock.

        Linux: arch/x86/kvm/xen.c kvm_xen_shared_info_init(), v7.3.4.
        Locks: gpc.lock for reading.
        Simplified: nothing is written but in direct execution.
        """
        self.gpc_access(gpc, True)

    # Event channels

    def kvm_xen_set_evtchn_fast(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Mark an event pending without sleeping. Neither page is marked dirty: user space knows that they always are.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: any context.
        Returns: 1, or -EWOULDBLOCK when shared_info has to be looked up first.
        """
        kick: bool = False
        with srcu_read_lock(kvm.srcu):
            gpc = kvm.xen.shinfo_cache
            with read_lock_irq(gpc.lock):
                if not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                    return -EWOULDBLOCK
                rc: Errno = self.set_evtchn_pending(gpc)
                if rc != 1:
                    return rc
            info = vcpu.xen.vcpu_info_cache
            with read_lock_irq(info.lock):
                if not self.kvm_gpc_check(info, self.PVCLOCK_SIZE):
                    # Delivered when the vCPU runs next: kvm_xen_inject_pending_events().
                    vcpu.xen.evtchn_pending_sel = True
                    kick = True
                else:
                    self.set_evtchn_pending_sel(info)
                    if vcpu.xen.upcall_vector:
                        self.kvm_xen_inject_vcpu_vector(vcpu)
                    else:
                        kick = True
        if kick:
            self.kvm_vcpu_kick(vcpu)
        return 1

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def set_evtchn_pending(self, gpc: GfnToPfnCache) -> Errno:
        """Set the event's bit in shared_info.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: gpc.lock for reading.
        Returns: 1, 0 if it was set, -ENOTCONN if the guest has masked it.
        Simplified: events are never masked, nor pending already, but in direct execution.
        """
        self.gpc_access(gpc, True)
        return 1

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def set_evtchn_pending_sel(self, info: GfnToPfnCache) -> None:
        """Set the bit of the event's word in vcpu_info, and that an upcall is pending.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: info.lock for reading.
        Simplified: the vCPU is kicked although the bit was set.
        """
        self.gpc_access(info, True)

    def kvm_xen_inject_vcpu_vector(self, vcpu: KvmVcpu) -> None:
        """Deliver the vCPU's upcall vector as an MSI, which wakes it.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_vcpu_vector(), arch/x86/kvm/lapic.c __apic_accept_irq(), v7.3.4.
        Locks: any context; vcpu_info's gpc.lock may be held.
        """
        self.kvm_vcpu_kick(vcpu)

    def kvm_vcpu_kick(self, vcpu: KvmVcpu) -> None:
        """Wake a vCPU that sleeps.

        Linux: include/linux/kvm_host.h kvm_vcpu_kick(), virt/kvm/kvm_main.c __kvm_vcpu_kick(), kvm_vcpu_wake_up(),
        v7.3.4.
        Locks: any context.
        Simplified: vCPUs do not sleep here, but the runqueue's lock is taken.
        """
        vcpu.rq.try_to_wake_up()

    def kvm_xen_set_evtchn(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Mark an event pending, looking shared_info up if need be. An irqfd's worker borrows the address space for it.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn(), v7.3.4.
        Locks: may sleep.
        Returns: 1, -EINVAL in another process, or the error of the refresh.
        """
        rc = self.kvm_xen_set_evtchn_fast(kvm, vcpu)
        if rc != -EWOULDBLOCK:
            return rc
        borrowed: bool = False
        if current().mm is not kvm.mm:
            if current().mm is not None:
                WARN_ON_ONCE(True, "current->mm is that of another process")
                return -EINVAL
            kthread_use_mm(kvm.mm)
            borrowed = True
        ret = self.set_evtchn_slow(kvm, vcpu)
        if borrowed:
            kthread_unuse_mm()
        return ret

    @part_of("kvm_xen_set_evtchn")
    def set_evtchn_slow(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Try, and refresh, until one of them gives an answer.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn(), its loop, v7.3.4.
        Locks: may sleep.
        Returns: 1, or the error of the refresh.
        """
        with mutex(kvm.xen.xen_lock):
            while True:
                again = self.kvm_xen_set_evtchn_fast(kvm, vcpu)
                if again != -EWOULDBLOCK:
                    return again
                with srcu_read_lock(kvm.srcu):
                    ret = self.kvm_gpc_refresh(kvm.xen.shinfo_cache, self.PAGE_SIZE)
                if ret != 0:
                    return ret

    # Timers

    @atomic
    def irq_enter(self, interrupted: ThreadInfo) -> None:
        """A hard interrupt arrives on the CPU of another actor: not while it keeps interrupts off.

        Linux: kernel/softirq.c irq_enter(), v7.3.4.
        """
        block_until(interrupted.irqs_disabled == 0)
        current_thread_info().preempt_count += 1

    @atomic
    def irq_exit(self) -> None:
        """The interrupt is over.

        Linux: kernel/softirq.c irq_exit(), v7.3.4.
        """
        current_thread_info().preempt_count -= 1

    def xen_timer_callback(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """A guest timer has expired. What the fast path cannot deliver, the vCPU will, when it runs next.

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
        """Start a timer whose time has come already: it is delivered here and now (since 6.9: 7a36d680658b).

        Linux: arch/x86/kvm/xen.c kvm_xen_start_timer(), v7.3.4.
        Locks: xen_lock, SRCU.
        Simplified: the hrtimer of one that is still to come is an actor of its own: xen_timer_callback().
        """
        vcpu.xen.timer_pending = False
        self.xen_timer_callback(kvm, vcpu)

    @part_of("kvm_xen_vcpu_set_attr")
    def start_expired_timer(self, vcpu: KvmVcpu) -> Errno:
        """KVM_XEN_VCPU_SET_ATTR of KVM_XEN_VCPU_ATTR_TYPE_TIMER, with a time that has passed.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Returns: 0.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            self.kvm_xen_start_timer(kvm, vcpu)
        return 0

    def kvm_xen_inject_timer_irqs(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Deliver a timer that the fast path could only note.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_timer_irqs(), v7.3.4.
        Locks: vcpu.mutex, SRCU; may sleep.
        """
        if vcpu.xen.timer_pending:
            self.kvm_xen_set_evtchn(kvm, vcpu)
            vcpu.xen.timer_pending = False

    @part_of("vcpu_run")
    def run_timer_injection(self, vcpu: KvmVcpu) -> None:
        """KVM_RUN that has a Xen timer to deliver.

        Linux: arch/x86/kvm/x86.c vcpu_run(), arch/x86/kvm/irq.c kvm_inject_pending_timer_irqs(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            self.kvm_xen_inject_timer_irqs(kvm, vcpu)

    # vcpu_info and runstate

    @part_of("kvm_xen_vcpu_set_attr")
    def set_vcpu_info(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, gpa: Gpa, length: int) -> Errno:
        """KVM_XEN_VCPU_SET_ATTR of vcpu_info, of its time information or of runstate.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Returns: 0, -ENXIO (a vcpu_info that is not aligned), or what activation returns.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            if gpc is vcpu.xen.vcpu_info_cache and not self.vcpu_info_is_aligned(gpa):
                return -ENXIO
            return self.kvm_gpc_activate(gpc, gpa, length)

    @part_of("kvm_xen_vcpu_set_attr")
    def vcpu_info_is_aligned(self, gpa: Gpa) -> bool:
        """Whether vcpu_info may be at gpa: its bits are set atomically, and may not cross a page.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4 (since v7.3.2: eacdb76c5f04).
        """
        return gpa % self.VCPU_INFO_ALIGN == 0

    @part_of("kvm_xen_vcpu_set_attr")
    def disable_vcpu_info(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """KVM_XEN_VCPU_SET_ATTR with no address.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            self.kvm_gpc_deactivate(gpc)

    @part_of("vcpu_run")
    def run_event_injection(self, vcpu: KvmVcpu) -> None:
        """KVM_RUN that has Xen events to deliver.

        Linux: arch/x86/kvm/x86.c vcpu_run(), arch/x86/kvm/xen.h kvm_xen_has_pending_events(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            if vcpu.xen.evtchn_pending_sel:
                self.kvm_xen_inject_pending_events(vcpu)

    def kvm_xen_inject_pending_events(self, vcpu: KvmVcpu) -> None:
        """Deliver what the fast path could only note.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_pending_events(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        """
        gpc = vcpu.xen.vcpu_info_cache
        gpc.lock.read_lock_irq()
        while not self.kvm_gpc_check(gpc, self.PVCLOCK_SIZE):
            gpc.lock.read_unlock_irq()
            if self.kvm_gpc_refresh(gpc, self.PVCLOCK_SIZE) != 0:
                return
            gpc.lock.read_lock_irq()
        self.inject_evtchn_pending_sel(vcpu, gpc)
        vcpu.xen.evtchn_pending_sel = False
        self.kvm_gpc_mark_dirty_in_slot(gpc)
        self.note_xen_dirty(gpc)
        gpc.lock.read_unlock_irq()

    @part_of("kvm_xen_inject_pending_events")
    @atomic
    def inject_evtchn_pending_sel(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Set the bits that were noted in vcpu_info, and that an upcall is pending.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_pending_events(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.gpc_access(gpc, True)

    def kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Whether an upcall is pending. Without vcpu_info there is none.

        Linux: arch/x86/kvm/xen.h kvm_xen_has_interrupt(), arch/x86/kvm/xen.c __kvm_xen_has_interrupt(), v7.3.4 (in an
        SRCU section since v7.3.2: aa8ad943f242).
        """
        if not vcpu.xen.vcpu_info_cache.active:
            return False
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            return self._kvm_xen_has_interrupt(vcpu)

    def _kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Read vcpu_info. A vCPU that is about to block, or is in atomic context, may not look it up: it says yes.

        Linux: arch/x86/kvm/xen.c __kvm_xen_has_interrupt(), v7.3.4.
        Locks: SRCU.
        Simplified: the contents of vcpu_info are not kept; they always say that an upcall is pending.
        """
        gpc = vcpu.xen.vcpu_info_cache
        gpc.lock.read_lock_irq()
        while not self.kvm_gpc_check(gpc, self.PVCLOCK_SIZE):
            gpc.lock.read_unlock_irq()
            if current_thread_info().preempt_count != 0 or current().interruptible:
                return True
            if self.kvm_gpc_refresh(gpc, self.PVCLOCK_SIZE) != 0:
                return False
            gpc.lock.read_lock_irq()
        self.gpc_access(gpc, False)
        gpc.lock.read_unlock_irq()
        return True

    def kvm_vcpu_block(self, vcpu: KvmVcpu) -> bool:
        """A halted vCPU is about to sleep, and looks once more whether there is a reason not to.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_block(), kvm_vcpu_check_block(), v7.3.4.
        Returns: whether it would sleep.
        Simplified: it does not sleep then.
        """
        current().interruptible = True
        pending = self.kvm_xen_has_interrupt(vcpu)
        current().interruptible = False
        return not pending

    # The end

    def kvm_xen_destroy_vcpu(self, vcpu: KvmVcpu) -> None:
        """The vCPU goes away.

        Linux: arch/x86/kvm/xen.c kvm_xen_destroy_vcpu(), v7.3.4.
        """
        self.kvm_gpc_deactivate(vcpu.xen.runstate_cache)
        self.kvm_gpc_deactivate(vcpu.xen.runstate2_cache)
        self.kvm_gpc_deactivate(vcpu.xen.vcpu_info_cache)
        self.kvm_gpc_deactivate(vcpu.xen.vcpu_time_info_cache)

    def kvm_xen_destroy_vm(self, kvm: Kvm) -> None:
        """The VM goes away.

        Linux: arch/x86/kvm/xen.c kvm_xen_destroy_vm(), v7.3.4.
        """
        self.kvm_gpc_deactivate(kvm.xen.shinfo_cache)
