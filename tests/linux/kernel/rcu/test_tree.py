# SPDX-License-Identifier: GPL-2.0-only
"""RCU: a read section delays what waits for it, and must not sleep."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.rcu.tree import RcuState, rcu_read_lock
from tests.linux.conftest import reported


def test_a_section_delays_the_end_of_what_it_may_have_found(task: TaskStruct) -> None:
    rcu = RcuState("rcu")
    with rcu_read_lock(rcu), pytest.raises(WouldBlock):
        rcu.wait_for_readers()
    rcu.wait_for_readers()


def test_a_section_must_not_sleep(task: TaskStruct) -> None:
    rcu = RcuState("rcu")
    with rcu_read_lock(rcu), rcu_read_lock(rcu):
        assert (task.rcu_read_lock_nesting, task.preempt_count) == (2, 0)
    might_sleep()
    with rcu_read_lock(rcu), reported("sleeping-in-atomic"):
        Mutex("mutex").lock()
