# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c: a vCPU blocks, is woken, and is scheduled out."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class VcpuMain(KvmMm):
    """The functions of virt/kvm/kvm_main.c for vCPUs."""

    def kvm_vcpu_kick(self, vcpu: KvmVcpu) -> None:
        """Wake a vCPU that sleeps.

        Linux: include/linux/kvm_host.h kvm_vcpu_kick(), virt/kvm/kvm_main.c __kvm_vcpu_kick(), kvm_vcpu_wake_up(),
        v7.3.4.
        Locks: any context.
        Simplified: vCPUs do not sleep here, but the runqueue's lock is taken.
        """
        vcpu.rq.try_to_wake_up()

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

    def kvm_sched_out(self, vcpu: KvmVcpu) -> None:
        """The vCPU's thread is preempted.

        Linux: virt/kvm/kvm_main.c kvm_sched_out(), by way of kernel/sched/core.c prepare_task_switch(), v7.3.4.
        Locks: takes the runqueue's.
        """
        vcpu.rq.raw_spin_rq_lock()
        self.kvm_arch_vcpu_put(vcpu)
        vcpu.rq.raw_spin_rq_unlock()
