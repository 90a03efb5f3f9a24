# SPDX-License-Identifier: GPL-2.0-only
"""kernel/softirq.c: start and end of hard interrupts."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.preempt import ThreadInfo, current_thread_info


class Softirq(Mm):
    """The functions of kernel/softirq.c."""

    @atomic
    def irq_enter(self, interrupted: ThreadInfo) -> None:
        """Begin a hard interrupt on the CPU of another actor, once that has interrupts on.

        Linux: kernel/softirq.c irq_enter(), v7.3.4.
        """
        block_until(interrupted.irqs_disabled == 0)
        current_thread_info().preempt_count += 1

    @atomic
    def irq_exit(self) -> None:
        """End the interrupt.

        Linux: kernel/softirq.c irq_exit(), v7.3.4.
        """
        current_thread_info().preempt_count -= 1
