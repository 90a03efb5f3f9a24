# SPDX-License-Identifier: GPL-2.0-only
"""The reader-writer semaphore."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.kernel.locking.rwsem import RwSemaphore, down_read, down_write
from tests.linux.conftest import reported


def test_readers_share(task: TaskStruct) -> None:
    lock = RwSemaphore("lock")
    with down_read(lock), down_read(lock):
        assert (lock.readers, lock.writer) == (2, False)
        with pytest.raises(WouldBlock):
            lock.lock()
    assert (lock.readers, lock.writer) == (0, False)


def test_a_writer_is_alone(task: TaskStruct) -> None:
    lock = RwSemaphore("lock")
    with down_write(lock):
        assert (lock.readers, lock.writer) == (0, True)
        with pytest.raises(WouldBlock):
            lock.lock()
        with pytest.raises(WouldBlock):
            lock.lock_shared()
    assert not lock.writer


def test_preemption_stays_on(task: TaskStruct) -> None:
    with down_write(RwSemaphore("lock")):
        assert task.preempt_count == 0


@pytest.mark.parametrize("take", ["lock", "lock_shared"])
def test_not_in_atomic_context(task: TaskStruct, take: str) -> None:
    task.preempt_count = 1
    with reported("sleeping-in-atomic"):
        getattr(RwSemaphore("lock"), take)()


def test_unlock_of_what_nobody_holds(task: TaskStruct) -> None:
    lock = RwSemaphore("lock", writer=True)
    with reported("lock-imbalance"):
        lock.unlock_shared()
    lock.unlock()
    with reported("lock-imbalance"):
        lock.unlock()


def test_downgrade_lets_readers_in_and_writers_not(task: TaskStruct) -> None:
    lock = RwSemaphore("lock")
    lock.lock()
    lock.downgrade_write()
    assert (lock.writer, lock.readers) == (False, 1)
    with down_read(lock):
        assert lock.readers == 2
    with pytest.raises(WouldBlock):
        lock.lock()
    lock.unlock_shared()
    assert lock.readers == 0


def test_downgrade_of_what_is_not_held(task: TaskStruct) -> None:
    with reported("lock-imbalance"):
        RwSemaphore("lock").downgrade_write()


def test_trylock_for_reading_never_waits(task: TaskStruct) -> None:
    task.preempt_count = 1  # allowed anywhere
    lock = RwSemaphore("lock")
    assert (lock.trylock_shared(), lock.trylock_shared(), lock.readers) == (True, True, 2)
    lock = RwSemaphore("lock", writer=True)
    assert (lock.trylock_shared(), lock.readers) == (False, 0)
