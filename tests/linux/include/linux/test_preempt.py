# SPDX-License-Identifier: GPL-2.0-only
"""What the running context may do."""

from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.preempt import (
    current_thread_info,
    local_irq_disable,
    local_irq_enable,
    might_sleep,
)
from pfncache.linux.include.linux.sched import TaskStruct
from tests.linux.conftest import reported


def test_interrupts_nest(task: TaskStruct) -> None:
    assert current_thread_info() is task
    local_irq_disable()
    local_irq_disable()
    local_irq_enable()
    assert task.irqs_disabled == 1


def test_a_task_may_sleep(task: TaskStruct) -> None:
    task.srcu_depth = 1  # sleepable RCU
    might_sleep()
    assert (task.preempt_count, task.srcu_depth) == (0, 1)


def test_not_with_preemption_disabled(task: TaskStruct) -> None:
    task.preempt_count = 2
    with pytest.raises(PropertyViolated) as splat:
        might_sleep()
    assert str(splat.value) == "sleeping-in-atomic: task sleeps with preempt_count 2"


def test_not_on_the_way_to_sleep(task: TaskStruct) -> None:
    task.interruptible = True
    with reported("sleeping-in-atomic"):
        might_sleep()
