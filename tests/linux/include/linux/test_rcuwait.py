# SPDX-License-Identifier: GPL-2.0-only
"""rcuwait: a wakeup between the test of the condition and the sleep is not lost; without a waiter it has no effect."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.rcuwait import Rcuwait
from pfncache.linux.include.linux.sched import TaskStruct
from tests.linux.conftest import reported


@pytest.fixture
def wait(task: TaskStruct) -> Rcuwait:
    made = Rcuwait("wait")
    made.prepare_to_rcuwait()
    return made


def test_sleeps_until_woken(wait: Rcuwait) -> None:
    wait.set_uninterruptible()
    with pytest.raises(WouldBlock):
        wait.schedule()
    wait.rcuwait_wake_up()
    wait.schedule()
    wait.finish_rcuwait()
    assert (wait.waiting, wait.woken) == (False, False)


def test_wakeup_before_the_sleep_is_kept(wait: Rcuwait) -> None:
    wait.set_uninterruptible()
    wait.rcuwait_wake_up()
    wait.schedule()
    assert wait.woken


def test_wakeup_before_the_state_is_set_is_lost(wait: Rcuwait) -> None:
    """Therefore the condition has to be tested after the state is set."""
    wait.rcuwait_wake_up()
    wait.set_uninterruptible()
    with pytest.raises(WouldBlock):
        wait.schedule()


def test_wakeup_without_a_waiter(task: TaskStruct) -> None:
    wait = Rcuwait("wait")
    wait.rcuwait_wake_up()
    assert not wait.woken


def test_not_in_atomic_context(wait: Rcuwait, task: TaskStruct) -> None:
    wait.set_uninterruptible()
    wait.rcuwait_wake_up()
    task.preempt_count = 1
    with reported("sleeping-in-atomic"):
        wait.schedule()
