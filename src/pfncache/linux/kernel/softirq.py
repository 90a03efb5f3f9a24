# SPDX-License-Identifier: GPL-2.0-only
"""kernel/softirq.c: hard interrupts begin and end."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.preempt import ThreadInfo, current_thread_info


class Softirq(Mm):
    """The functions of kernel/softirq.c."""

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
