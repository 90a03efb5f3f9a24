# SPDX-License-Identifier: GPL-2.0-only
"""The mutex: who has it keeps others out, and whoever may not sleep must not take it."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.kernel.locking.mutex import Mutex, mutex
from tests.linux.conftest import reported


def test_held_over_the_block(task: TaskStruct) -> None:
    lock = Mutex("lock")
    with mutex(lock):
        assert lock.held
        with pytest.raises(WouldBlock):
            lock.lock()
    assert not lock.held


def test_released_when_the_block_returns(task: TaskStruct) -> None:
    lock = Mutex("lock")

    def leave() -> int:
        with mutex(lock):
            return 1

    assert leave() == 1
    assert not lock.held


def test_unlock_of_what_nobody_holds(task: TaskStruct) -> None:
    with reported("lock-imbalance"):
        Mutex("lock").unlock()


def test_not_in_atomic_context(task: TaskStruct) -> None:
    task.preempt_count = 1
    lock = Mutex("lock")
    with reported("sleeping-in-atomic"):
        lock.lock()
    assert not lock.held


def test_trylock_never_waits(task: TaskStruct) -> None:
    task.preempt_count = 1  # allowed anywhere
    lock = Mutex("lock", dereferenced=True)
    assert (lock.trylock(), lock.held, task.slots_lock_depth) == (True, True, 1)
    assert (lock.trylock(), task.slots_lock_depth) == (False, 1)
    lock.unlock()
    assert (lock.held, task.slots_lock_depth) == (False, 0)
