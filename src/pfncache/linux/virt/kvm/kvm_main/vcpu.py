# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c: ioctls, block, wakeup and sched-out of vCPUs."""

from __future__ import annotations

from collections.abc import Iterator

from pfncache.lang.atomic import atomic, block_until, guard
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_SNP_VM
from pfncache.linux.include.linux.kvm_host import (
    EXITING_GUEST_MODE,
    IN_GUEST_MODE,
    OUTSIDE_GUEST_MODE,
    Kvm,
    KvmVcpu,
)
from pfncache.linux.include.linux.lockdep import lockdep_assert_held
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.sched import TaskStruct, current
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EAGAIN
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


def vcpu_load(vcpu: KvmVcpu) -> None:
    """Make the vCPU the one that this task runs: kvm_get_running_vcpu() returns it.

    Linux: virt/kvm/kvm_main.c vcpu_load(), v7.3.4.
    Locks: vcpu.mutex.
    Simplified: a member of the task instead of the CPU; without kvm_arch_vcpu_load().
    """
    current().running_vcpu = vcpu


def vcpu_put(vcpu: KvmVcpu) -> None:
    """Undo vcpu_load().

    Linux: virt/kvm/kvm_main.c vcpu_put(), v7.3.4.
    Locks: vcpu.mutex.
    Simplified: without kvm_arch_vcpu_put(), which is modelled where the scheduler calls it: kvm_sched_out().
    """
    current().running_vcpu = None


@part_of("vcpu_load")
@guard
def vcpu_loaded(vcpu: KvmVcpu) -> Iterator[None]:
    """Load the vCPU over the block, as an ioctl of the vCPU does under vcpu.mutex.

    Without the mutex, `vcpu` stands for another vCPU of the VM, so that the block can run beside an ioctl of `vcpu`.

    Linux: virt/kvm/kvm_main.c vcpu_load(), vcpu_put(), v7.3.4; x86 calls them in the functions for kvm_vcpu_ioctl().
    Simplified: kvm_vcpu_ioctl() also returns -EIO to another address space, and for a dead VM.
    """
    vcpu_load(vcpu)
    yield
    vcpu_put(vcpu)


class VcpuMain(KvmMm):
    """The functions of virt/kvm/kvm_main.c for vCPUs."""

    @atomic
    def kvm_vcpu_exiting_guest_mode(self, vcpu: KvmVcpu) -> int:
        """Replace IN_GUEST_MODE by EXITING_GUEST_MODE; return the mode that it was.

        Linux: include/linux/kvm_host.h kvm_vcpu_exiting_guest_mode(), v7.3.4.
        Locks: any context.
        """
        mode = vcpu.mode
        if mode == IN_GUEST_MODE:
            vcpu.mode = EXITING_GUEST_MODE
        return mode

    def kvm_vcpu_kick(self, vcpu: KvmVcpu) -> None:
        """Wake a sleeping vCPU, or make one leave the guest, which it may do later.

        Linux: include/linux/kvm_host.h kvm_vcpu_kick(), v7.3.4.
        """
        self._kvm_vcpu_kick(vcpu, False)

    def _kvm_vcpu_kick(self, vcpu: KvmVcpu, wait: bool) -> None:
        """Wake a sleeping vCPU, or make one leave the guest. Of several kicks, the first sends the IPI.

        With `wait`, return when the vCPU's CPU has served the IPI, as kvm_make_request_and_kick() asks for a request
        with KVM_REQUEST_WAIT; but a kick that sends none, since the vCPU is exiting already, does not wait.

        Linux: virt/kvm/kvm_main.c __kvm_vcpu_kick(), kvm_vcpu_wake_up(), v7.3.4.
        Locks: any context; interrupts on to wait.
        Simplified: a vCPU that sleeps waits for a request (kvm_vcpu_halt()); only the runqueue's lock is taken. A task
        does not kick the vCPU that it has loaded.
        """
        vcpu.rq.try_to_wake_up()
        if self.kvm_arch_vcpu_should_kick(vcpu) and wait:
            self.wait_for_ack(vcpu)

    @part_of("ack_kick")
    @atomic
    def wait_for_ack(self, vcpu: KvmVcpu) -> None:
        """Wait until the CPU that runs the vCPU has served an IPI: it has left the guest, which it may enter again.

        Linux: virt/kvm/kvm_main.c ack_kick(), kernel/smp.c smp_call_function_single(), v7.3.4.
        """
        block_until(vcpu.mode != EXITING_GUEST_MODE)

    def kvm_flush_remote_tlbs(self, kvm: Kvm) -> None:
        """Flush the TLBs of every vCPU, and wait until each has left the guest, in which it uses its TLB.

        Linux: virt/kvm/kvm_main.c kvm_flush_remote_tlbs(), kvm_make_all_cpus_request(), kvm_request_needs_ipi(),
        v7.3.4.
        Locks: may be mmu_lock; interrupts on.
        Simplified: vCPUs without a mode are outside of the guest but for the step of an access; they flush before the
        next one.
        """
        if kvm.vm_type == KVM_X86_SNP_VM:
            for vcpu in kvm.vcpus:
                if self.kvm_vcpu_exiting_guest_mode(vcpu) != OUTSIDE_GUEST_MODE:
                    self.wait_for_ack(vcpu)
        if self.tlbs:
            self.flush_guest_tlb(kvm)

    @part_of_caller
    def flush_if(self, kvm: Kvm, flush: bool) -> None:
        """Flush the TLBs if SPTEs were zapped, where there are TLBs or a task would wait: for vCPUs of an SNP VM.

        Linux: virt/kvm/kvm_main.c kvm_handle_hva_range(), kvm_handle_gfn_range(), virt/kvm/guest_memfd.c
        __kvm_gmem_invalidate_start(), arch/x86/kvm/mmu/mmu.c kvm_mmu_remote_flush_or_zap(), v7.3.4.
        Locks: as kvm_flush_remote_tlbs().
        """
        if (self.tlbs or kvm.vm_type == KVM_X86_SNP_VM) and flush:
            self.kvm_flush_remote_tlbs(kvm)

    def kvm_vcpu_block(self, vcpu: KvmVcpu) -> bool:
        """Check for a pending upcall before a halted vCPU sleeps.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_block(), v7.3.4.
        Locks: vcpu.mutex; not SRCU, which vcpu_block() of x86 drops.
        Returns: whether the vCPU would sleep.
        Simplified: the vCPU does not sleep.
        """
        current().interruptible = True
        if vcpu.rq.sleeps:
            vcpu.rq.woken = False
        pending = self.kvm_vcpu_check_block(vcpu)
        current().interruptible = False
        return not pending

    def kvm_vcpu_check_block(self, vcpu: KvmVcpu) -> bool:
        """Return whether the vCPU must not sleep.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_check_block(), v7.3.4.
        Locks: vcpu.mutex; takes SRCU.
        Simplified: an upcall of Xen and KVM_REQ_UNBLOCK are the only events, without signals and pending timers; the
        result is a truth value.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            if self.kvm_xen_has_interrupt(vcpu):
                return True
            if vcpu.unblock:
                vcpu.unblock = False
                return True
            return False

    def kvm_vcpu_halt(self, vcpu: KvmVcpu) -> None:
        """Sleep until there is a reason not to.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_halt(), the loop of kvm_vcpu_block(), v7.3.4.
        Locks: vcpu.mutex; SRCU of a caller other than vcpu_block() of x86 is held all the time.
        Simplified: no polling before the sleep, and KVM_REQ_UNBLOCK alone ends it.
        """
        while self.kvm_vcpu_block(vcpu):
            self.sleep_until_unblocked(vcpu)

    @part_of("kvm_vcpu_block")
    @atomic
    def sleep_until_unblocked(self, vcpu: KvmVcpu) -> None:
        """Sleep until a wakeup, none of which is lost: the task was interruptible when it looked for a reason.

        Where no task sleeps until it is woken, the reason itself wakes it.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_block(), v7.3.4.
        """
        might_sleep()
        block_until(vcpu.rq.woken if vcpu.rq.sleeps else vcpu.unblock)

    def kvm_vcpu_srcu_read_lock(self, vcpu: KvmVcpu) -> None:
        """Enter the SRCU read section in which an exit of the guest is handled.

        Linux: include/linux/kvm_host.h kvm_vcpu_srcu_read_lock(), v7.3.4.
        Locks: vcpu.mutex.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        vcpu.srcu_idx = kvm.srcu.read_lock()

    def kvm_vcpu_srcu_read_unlock(self, vcpu: KvmVcpu) -> None:
        """Leave the section.

        Linux: include/linux/kvm_host.h kvm_vcpu_srcu_read_unlock(), v7.3.4.
        Locks: vcpu.mutex.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        kvm.srcu.read_unlock(vcpu.srcu_idx)

    def kvm_sched_out(self, vcpu: KvmVcpu) -> None:
        """Schedule out the vCPU's thread.

        Linux: virt/kvm/kvm_main.c kvm_sched_out(), by way of kernel/sched/core.c prepare_task_switch(), v7.3.4.
        Locks: vcpu.mutex, as it is called between vcpu_load() and vcpu_put() only; takes the runqueue's.
        """
        lockdep_assert_held(vcpu.mutex)
        vcpu.rq.raw_spin_rq_lock()
        self.kvm_arch_vcpu_put(vcpu)
        vcpu.rq.raw_spin_rq_unlock()

    @part_of("preempt_schedule_irq")
    def preempt(self, vcpu: KvmVcpu, preempted: TaskStruct) -> Errno:
        """Preempt a vCPU's thread where it may be: it goes on when another task of its CPU has run.

        Linux: kernel/sched/core.c preempt_schedule_irq(), __schedule(), prepare_task_switch(), v7.3.4.
        Returns: 0; -EAGAIN if the thread has loaded no vCPU, so that KVM has no preemption notifier there.
        Simplified: a context of its own, as an interrupt has; without kvm_sched_in().
        """
        if not self.begin_preemption(vcpu, preempted):
            return -EAGAIN
        self.kvm_sched_out(vcpu)
        vcpu_put(vcpu)
        return 0

    @part_of("preempt_schedule_irq")
    @atomic
    def begin_preemption(self, vcpu: KvmVcpu, preempted: TaskStruct) -> bool:
        """Wait until preemption is enabled; return whether the thread has loaded the vCPU.

        A task that has a spinlock or an rwlock, or has interrupts disabled, is not preempted; one that has a mutex is.

        Linux: kernel/sched/core.c preempt_schedule_irq(), include/linux/preempt.h preemptible(), v7.3.4.
        """
        block_until(preempted.preempt_count == 0 and preempted.irqs_disabled == 0)
        if preempted.running_vcpu is not vcpu:
            return False
        vcpu_load(vcpu)
        return True
