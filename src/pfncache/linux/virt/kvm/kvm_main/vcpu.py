# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c: block, wakeup and sched-out of vCPUs."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class VcpuMain(KvmMm):
    """The functions of virt/kvm/kvm_main.c for vCPUs."""

    def kvm_vcpu_kick(self, vcpu: KvmVcpu) -> None:
        """Wake a sleeping vCPU.

        Linux: include/linux/kvm_host.h kvm_vcpu_kick(), virt/kvm/kvm_main.c __kvm_vcpu_kick(), kvm_vcpu_wake_up(),
        v7.3.4.
        Locks: any context.
        Simplified: vCPUs do not sleep; only the runqueue's lock is taken.
        """
        vcpu.rq.try_to_wake_up()

    def kvm_vcpu_block(self, vcpu: KvmVcpu) -> bool:
        """Check for a pending upcall before a halted vCPU sleeps.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_block(), kvm_vcpu_check_block(), v7.3.4.
        Returns: whether the vCPU would sleep.
        Simplified: the vCPU does not sleep.
        """
        current().interruptible = True
        pending = self.kvm_xen_has_interrupt(vcpu)
        current().interruptible = False
        return not pending

    def kvm_sched_out(self, vcpu: KvmVcpu) -> None:
        """Schedule out the vCPU's thread.

        Linux: virt/kvm/kvm_main.c kvm_sched_out(), by way of kernel/sched/core.c prepare_task_switch(), v7.3.4.
        Locks: takes the runqueue's.
        """
        vcpu.rq.raw_spin_rq_lock()
        self.kvm_arch_vcpu_put(vcpu)
        vcpu.rq.raw_spin_rq_unlock()
