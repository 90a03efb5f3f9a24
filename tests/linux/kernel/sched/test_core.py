# SPDX-License-Identifier: GPL-2.0-only
"""The runqueue's lock."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.kernel.sched.core import Rq
from tests.linux.conftest import reported


def test_lock_keeps_interrupts_off_and_forbids_sleep(task: TaskStruct) -> None:
    rq = Rq("rq")
    rq.raw_spin_rq_lock()
    assert (rq.lock.held, task.irqs_disabled, task.preempt_count) == (True, 1, 1)
    with reported("sleeping-in-atomic"):
        might_sleep()
    rq.raw_spin_rq_unlock()
    assert (rq.lock.held, task.irqs_disabled, task.preempt_count) == (False, 0, 0)


def test_wakeup_takes_the_lock_and_gives_it_back(task: TaskStruct) -> None:
    rq = Rq("rq")
    rq.try_to_wake_up()
    assert (rq.lock.held, task.irqs_disabled, task.preempt_count) == (False, 0, 0)
    rq.raw_spin_rq_lock()
    with pytest.raises(WouldBlock):
        rq.try_to_wake_up()


@pytest.mark.parametrize("sleeps", [False, True])
def test_wakeup_of_a_task_that_sleeps_until_one(task: TaskStruct, sleeps: bool) -> None:
    rq = Rq("rq", sleeps=sleeps)
    rq.try_to_wake_up()
    assert rq.woken == sleeps
