# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/preempt.h, irqflags.h: preemption, interrupts, and whether the running context may sleep."""

from __future__ import annotations

from pfncache.lang.atomic import Scheduler, atomic
from pfncache.lang.records import Count, Record
from pfncache.lang.report import report
from pfncache.lang.tracing import running


class ThreadInfo(Record):
    """struct thread_info, and the parts of lockdep's per-task state that the model needs."""

    preempt_count: Count
    """Spinlocks and rwlocks held, and hard-irq context."""
    irqs_disabled: Count
    """Nesting of the irq-disabling locks."""
    interruptible: bool
    """__state is TASK_INTERRUPTIBLE: the task is about to sleep, and evaluates its condition once more."""
    rcu_read_lock_nesting: Count
    """Nesting of RCU read-side critical sections, in which a task must not sleep."""
    srcu_depth: Count
    """Nesting of read sections of kvm->srcu."""
    slots_lock_depth: Count
    """Nesting of kvm->slots_lock, under which pointers that kvm->srcu protects may be dereferenced too."""
    warned_before: bool
    """In no kernel: each WARN_ON_ONCE() has warned before; for scenarios of what comes after it."""
    raw_context: Count
    """Contexts in which only raw spinlocks may be taken: hard interrupts and raw spinlocks, with PREEMPT_RT."""
    host_scheduler: Scheduler | None = None
    """The scheduler of tasks, in direct execution."""


def current_thread_info() -> ThreadInfo:
    """Return the running context: a task, or an interrupt.

    Linux: include/linux/thread_info.h current_thread_info(), v7.3.4.
    Simplified: an interrupt has a context of its own.
    """
    info: ThreadInfo = running()
    return info


@atomic
def local_irq_disable() -> None:
    """Disable interrupts; nests, as local_irq_save() does.

    Linux: include/linux/irqflags.h local_irq_disable(), local_irq_save(), v7.3.4.
    """
    current_thread_info().irqs_disabled += 1


@atomic
def local_irq_enable() -> None:
    """Undo one local_irq_disable().

    Linux: include/linux/irqflags.h local_irq_enable(), local_irq_restore(), v7.3.4.
    """
    current_thread_info().irqs_disabled -= 1


@atomic
def might_sleep() -> None:
    """Report a sleep in atomic context.

    Linux: include/linux/kernel.h might_sleep(), kernel/sched/core.c __might_sleep(), __might_resched(), v7.3.4.
    """
    info = current_thread_info()
    if info.preempt_count != 0:
        report("sleeping-in-atomic", f"{info} sleeps with preempt_count {info.preempt_count}")
    if info.irqs_disabled != 0:
        report("sleeping-in-atomic", f"{info} sleeps with interrupts disabled")
    if info.rcu_read_lock_nesting != 0:
        report("sleeping-in-atomic", f"{info} sleeps in an RCU read-side critical section")
    if info.interruptible:
        report("sleeping-in-atomic", f"{info} calls a function that may block, but is not TASK_RUNNING")
