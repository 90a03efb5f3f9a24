# SPDX-License-Identifier: GPL-2.0-only
"""kernel/softirq.c: hard interrupts wait for a CPU with interrupts on."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.sched import TaskStruct, current
from tests.linux.conftest import Host


def test_interrupt_waits_for_a_cpu_with_interrupts_on(host: Host) -> None:
    elsewhere = TaskStruct("elsewhere", irqs_disabled=1)
    with pytest.raises(WouldBlock):
        host.kernel.irq_enter(elsewhere)
    elsewhere.irqs_disabled = 0
    host.kernel.irq_enter(elsewhere)
    assert (current().preempt_count, elsewhere.preempt_count) == (1, 0)
    host.kernel.irq_exit()
    assert current().preempt_count == 0
