# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/preempt.h, irqflags.h: what the running context may do now."""

from __future__ import annotations

from pfncache.kernel.model import Count, Record, atomic, report, running


class ThreadInfo(Record):
    """struct thread_info, and the parts of lockdep's per-task state that the model needs."""

    preempt_count: Count
    """Spinlocks and rwlocks held, and hard-irq context."""
    irqs_disabled: Count
    """Nesting of the irq-disabling locks."""
    srcu_depth: Count
    """SRCU read sections that the task is in."""


def current_thread_info() -> ThreadInfo:
    """The running context."""
    info: ThreadInfo = running()
    return info


@atomic
def local_irq_disable() -> None:
    """local_irq_save()."""
    current_thread_info().irqs_disabled += 1


@atomic
def local_irq_enable() -> None:
    """local_irq_restore()."""
    current_thread_info().irqs_disabled -= 1


@atomic
def might_sleep() -> None:
    """might_sleep(): reports a sleep in atomic context."""
    info = current_thread_info()
    if info.preempt_count != 0:
        report("sleeping-in-atomic", f"{info} sleeps with preempt_count {info.preempt_count}")
