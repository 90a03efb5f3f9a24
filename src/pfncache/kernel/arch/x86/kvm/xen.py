# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: pages that a Xen guest shares with its hypervisor, some of them reached from hard-irq context."""

from __future__ import annotations

from pfncache.kernel.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.kernel.include.linux.preempt import ThreadInfo, current_thread_info, local_irq_disable, local_irq_enable
from pfncache.kernel.include.linux.types import EAGAIN, INVALID_GPA, Errno, Gpa, Hva
from pfncache.kernel.locking.mutex import mutex
from pfncache.kernel.locking.spinlock import read_lock_irq
from pfncache.kernel.locking.srcu import srcu_read_lock
from pfncache.kernel.model import atomic, block_until
from pfncache.kernel.virt.kvm.kvm_mm import KvmMm

EWOULDBLOCK = EAGAIN


class Xen(KvmMm):
    """The functions of arch/x86/kvm/xen.c."""

    # shared_info

    def kvm_xen_set_shared_info(self, kvm: Kvm, gpa: Gpa, uhva: Hva, by_hva: bool) -> Errno:
        """KVM_XEN_HVM_SET_ATTR of KVM_XEN_ATTR_TYPE_SHARED_INFO or SHARED_INFO_HVA.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_set_attr(), v7.3.4.
        Returns: 0, or what activation returns.
        """
        with mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            return self.kvm_xen_shared_info_init(kvm, gpa, uhva, by_hva)

    def kvm_xen_disable_shared_info(self, kvm: Kvm) -> None:
        """KVM_XEN_HVM_SET_ATTR with no address.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_set_attr(), v7.3.4.
        """
        with mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            self.kvm_gpc_deactivate(kvm.xen.shinfo_cache)

    def kvm_xen_shared_info_init(self, kvm: Kvm, gpa: Gpa, uhva: Hva, by_hva: bool) -> Errno:
        """Activate the cache of shared_info, and write the wall clock there.

        Linux: arch/x86/kvm/xen.c kvm_xen_shared_info_init(), v7.3.4.
        Locks: xen_lock, SRCU.
        Returns: 0, or what activation returns.
        """
        gpc = kvm.xen.shinfo_cache
        while True:
            ret = (
                self.kvm_gpc_activate_hva(gpc, uhva, self.PAGE_SIZE)
                if by_hva
                else self.kvm_gpc_activate(gpc, gpa, self.PAGE_SIZE)
            )
            if ret != 0:
                return ret
            gpc.lock.read_lock_irq()
            if gpc.valid:
                break
            gpc.lock.read_unlock_irq()
        self.gpc_access(gpc, True)
        gpc.lock.read_unlock_irq()
        return 0

    # Event channels

    def kvm_xen_set_evtchn_fast(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Mark an event pending without sleeping. Neither page is marked dirty: user space knows that they always are.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: any context.
        Returns: 1, or -EWOULDBLOCK when shared_info has to be looked up first.
        Simplified: events are never masked.
        """
        with srcu_read_lock(kvm.srcu):
            gpc = kvm.xen.shinfo_cache
            with read_lock_irq(gpc.lock):
                if not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                    return -EWOULDBLOCK
                self.gpc_access(gpc, True)
            info = vcpu.xen.vcpu_info_cache
            with read_lock_irq(info.lock):
                if self.kvm_gpc_check(info, self.PVCLOCK_SIZE):
                    self.gpc_access(info, True)
                else:
                    # Delivered when the vCPU runs next: kvm_xen_inject_pending_events().
                    vcpu.xen.evtchn_pending_sel = True
        return 1

    def kvm_xen_set_evtchn(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Mark an event pending, looking shared_info up if need be.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn(), v7.3.4.
        Locks: may sleep.
        Returns: 1, or the error of the refresh.
        """
        rc = self.kvm_xen_set_evtchn_fast(kvm, vcpu)
        if rc != -EWOULDBLOCK:
            return rc
        with mutex(kvm.xen.xen_lock):
            while True:
                again = self.kvm_xen_set_evtchn_fast(kvm, vcpu)
                if again != -EWOULDBLOCK:
                    return again
                with srcu_read_lock(kvm.srcu):
                    ret = self.kvm_gpc_refresh(kvm.xen.shinfo_cache, self.PAGE_SIZE)
                if ret != 0:
                    return ret

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
        """A guest timer fires in hard-irq context.

        Linux: arch/x86/kvm/xen.c xen_timer_callback(), v7.3.4.
        Simplified: when the fast path cannot deliver, the timer is left pending, and the vCPU is not woken.
        """
        self.kvm_xen_set_evtchn_fast(kvm, vcpu)

    # vcpu_info and runstate

    def kvm_xen_vcpu_set_info(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, gpa: Gpa, length: int) -> Errno:
        """KVM_XEN_VCPU_SET_ATTR of vcpu_info, of its time information or of runstate.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Returns: 0, or what activation returns.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            return self.kvm_gpc_activate(gpc, gpa, length)

    def kvm_xen_vcpu_disable_info(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """KVM_XEN_VCPU_SET_ATTR with no address.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            self.kvm_gpc_deactivate(gpc)

    def kvm_vcpu_run_inject_events(self, vcpu: KvmVcpu) -> None:
        """KVM_RUN that has Xen events to deliver.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest(), xen.h kvm_xen_has_pending_events(), v7.3.4.
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
        self.gpc_access(gpc, True)
        vcpu.xen.evtchn_pending_sel = False
        self.kvm_gpc_mark_dirty_in_slot(gpc)
        self.note_xen_dirty(gpc)
        gpc.lock.read_unlock_irq()

    def kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Whether an upcall is pending; when that cannot be known without sleeping in atomic context, assume so.

        Linux: arch/x86/kvm/xen.c __kvm_xen_has_interrupt(), v7.3.4 (in an SRCU section since 7.3.2: aa8ad943f242).
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            return self._kvm_xen_has_interrupt(vcpu)

    def _kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Read vcpu_info.

        Linux: arch/x86/kvm/xen.c __kvm_xen_has_interrupt(), v7.3.4.
        Locks: SRCU.
        """
        gpc = vcpu.xen.vcpu_info_cache
        gpc.lock.read_lock_irq()
        while not self.kvm_gpc_check(gpc, self.PVCLOCK_SIZE):
            gpc.lock.read_unlock_irq()
            if self.kvm_gpc_refresh(gpc, self.PVCLOCK_SIZE) != 0:
                return False
            gpc.lock.read_lock_irq()
        self.gpc_access(gpc, False)
        gpc.lock.read_unlock_irq()
        return True

    def kvm_xen_update_runstate(self, vcpu: KvmVcpu) -> None:
        """The vCPU begins to run again.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            self.kvm_xen_update_runstate_guest(vcpu, False)

    def kvm_xen_runstate_set_preempted(self, vcpu: KvmVcpu) -> None:
        """The vCPU is scheduled out, with the runqueue locked.

        Linux: arch/x86/kvm/xen.h kvm_xen_runstate_set_preempted(), kernel/sched/core.c, v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            self.sched_out_enter()
            self.kvm_xen_update_runstate_guest(vcpu, True)
            self.sched_out_exit()

    @atomic
    def sched_out_enter(self) -> None:
        """The runqueue lock is taken.

        Linux: kernel/sched/core.c __schedule(), v7.3.4.
        """
        current_thread_info().preempt_count += 1

    @atomic
    def sched_out_exit(self) -> None:
        """The runqueue lock is dropped.

        Linux: kernel/sched/core.c finish_task_switch(), v7.3.4.
        """
        current_thread_info().preempt_count -= 1

    def runstate_read_lock(self, gpc: GfnToPfnCache, in_atomic: bool) -> bool:
        """Lock a runstate cache; when scheduling, only if nobody has to be waited for.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate_guest(), v7.3.4 (trylock since bbe17c625d68).
        Returns: whether it is locked.
        """
        local_irq_disable()
        if in_atomic:
            if not gpc.lock.read_trylock():
                local_irq_enable()
                return False
        else:
            gpc.lock.read_lock()
        return True

    def kvm_xen_update_runstate_guest(self, vcpu: KvmVcpu, in_atomic: bool) -> None:
        """Write the runstate area, which may lie on two pages.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate_guest(), v7.3.4.
        Locks: SRCU; `in_atomic`: nothing may sleep or wait.
        """
        gpc1 = vcpu.xen.runstate_cache
        gpc2 = vcpu.xen.runstate2_cache
        while True:
            if not self.runstate_read_lock(gpc1, in_atomic):
                return
            while not self.kvm_gpc_check(gpc1, self.PVCLOCK_SIZE):
                gpc1.lock.read_unlock_irq()
                # When invoked from schedule() there is no way to sleep: the guest is told later.
                if in_atomic:
                    return
                if self.kvm_gpc_refresh(gpc1, self.PVCLOCK_SIZE) != 0:
                    return
                self.runstate_read_lock(gpc1, in_atomic)
            if not gpc2.active:
                self.gpc_access(gpc1, True)
                self.kvm_gpc_mark_dirty_in_slot(gpc1)
                self.note_xen_dirty(gpc1)
                gpc1.lock.read_unlock_irq()
                return
            if not self.runstate_read_lock(gpc2, in_atomic):
                gpc1.lock.read_unlock_irq()
                return
            if self.kvm_gpc_check(gpc2, self.PVCLOCK_SIZE):
                break
            gpc2.lock.read_unlock_irq()
            gpc1.lock.read_unlock_irq()
            if in_atomic:
                return
            # gpc1.gpa is read without its lock: only vcpu.mutex, which is ours, lets it change.
            if self.kvm_gpc_activate(gpc2, gpc1.gpa + self.PVCLOCK_SIZE, self.PVCLOCK_SIZE) != 0:
                return
        self.gpc_access(gpc1, True)
        self.gpc_access(gpc2, True)
        self.kvm_gpc_mark_dirty_in_slot(gpc1)
        self.note_xen_dirty(gpc1)
        self.kvm_gpc_mark_dirty_in_slot(gpc2)
        self.note_xen_dirty(gpc2)
        gpc2.lock.read_unlock_irq()
        gpc1.lock.read_unlock_irq()

    @atomic
    def note_xen_dirty(self, gpc: GfnToPfnCache) -> None:
        """Let the properties see that the writer has marked what it wrote.

        Linux: nothing; a tracepoint of the model.
        """
        if gpc.gpa != INVALID_GPA:
            self.trace_gpc_dirty(gpc, gpc.gpa)

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
