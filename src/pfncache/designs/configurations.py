# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of other configurations."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.preempt import ThreadInfo, current_thread_info
from pfncache.linux.kernel.softirq import Softirq
from pfncache.linux.virt.kvm.kvm_main.vcpu import VcpuMain


class PreemptRt(Patch, Softirq, VcpuMain):
    """CONFIG_PREEMPT_RT: spinlocks and rwlocks sleep, so that hard interrupts and the scheduler must not take them.

    The Xen timer's callback takes gpc->lock, an rwlock, in hard interrupt context; kvm_sched_out() takes it under the
    runqueue's lock. syzbot reported the former in 2024-11, "locking bug in kvm_xen_set_evtchn_fast"; it is open. The
    model's locks disable preemption all the same, which is stricter than RT.
    """

    def irq_enter(self, interrupted: ThreadInfo) -> None:
        """Begin a hard interrupt, which is not threaded: the timer is HRTIMER_MODE_ABS_HARD."""
        super().irq_enter(interrupted)
        current_thread_info().raw_context += 1

    def irq_exit(self) -> None:
        """End the interrupt."""
        current_thread_info().raw_context -= 1
        super().irq_exit()

    def kvm_sched_out(self, vcpu: KvmVcpu) -> None:
        """Schedule out under the runqueue's lock, a raw spinlock."""
        current_thread_info().raw_context += 1
        super().kvm_sched_out(vcpu)
        current_thread_info().raw_context -= 1
