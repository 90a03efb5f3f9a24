# SPDX-License-Identifier: GPL-2.0-only
"""kernel/sched/core.c: the runqueue's lock, under which KVM's preemption notifiers run and which a wakeup takes."""

from __future__ import annotations

from pfncache.lang.records import Record
from pfncache.linux.include.linux.preempt import local_irq_disable, local_irq_enable
from pfncache.linux.kernel.locking.spinlock import RawSpinLock


class Rq(Record):
    """struct rq: the runqueue of a CPU."""

    lock: RawSpinLock
    sleeps: bool
    """In no kernel: the task of the CPU sleeps until it is woken; for scenarios in which a wakeup may be lost."""
    woken: bool
    """p->__state of that task is TASK_RUNNING again."""

    def raw_spin_rq_lock(self) -> None:
        """Lock the runqueue with interrupts off, as raw_spin_rq_lock_irqsave() does.

        Linux: kernel/sched/sched.h raw_spin_rq_lock(), kernel/sched/core.c raw_spin_rq_lock_nested(), v7.3.4.
        """
        local_irq_disable()
        self.lock.lock()

    def raw_spin_rq_unlock(self) -> None:
        """Unlock the runqueue and restore interrupts, as raw_spin_rq_unlock_irqrestore() does.

        Linux: kernel/sched/sched.h raw_spin_rq_unlock(), v7.3.4.
        """
        self.lock.unlock()
        local_irq_enable()

    def try_to_wake_up(self) -> None:
        """Wake a sleeping task.

        Linux: kernel/sched/core.c try_to_wake_up(), v7.3.4.
        Locks: any context.
        Simplified: p->pi_lock, which nests outside of the runqueue's lock, is left out.
        """
        self.raw_spin_rq_lock()
        if self.sleeps:
            self.woken = True
        self.raw_spin_rq_unlock()
