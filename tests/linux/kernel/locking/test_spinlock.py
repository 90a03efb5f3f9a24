# SPDX-License-Identifier: GPL-2.0-only
"""Spinlocks and rwlocks: exclusion, preemption, interrupts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.kernel.locking.spinlock import (
    RawSpinLock,
    RwLock,
    SpinLock,
    read_lock,
    read_lock_irq,
    spin_lock,
    write_lock,
    write_lock_irq,
)
from tests.linux.conftest import reported

Guard = Callable[[RwLock], AbstractContextManager[None]]
GUARDS = [(read_lock, 0, 1, 0), (write_lock, 1, 0, 0), (read_lock_irq, 0, 1, 1), (write_lock_irq, 1, 0, 1)]


def test_spinlock_excludes_and_disables_preemption(task: TaskStruct) -> None:
    lock = SpinLock("lock")
    with spin_lock(lock):
        assert (lock.held, task.preempt_count, task.irqs_disabled) == (True, 1, 0)
        with pytest.raises(WouldBlock):
            lock.lock()
        with reported("sleeping-in-atomic"):
            might_sleep()
    assert (lock.held, task.preempt_count) == (False, 0)


@pytest.mark.parametrize(("guard", "writer", "readers", "irqs"), GUARDS)
def test_rwlock_guards(task: TaskStruct, guard: Guard, writer: int, readers: int, irqs: int) -> None:
    lock = RwLock("lock")
    with guard(lock):
        assert (lock.writer, lock.readers) == (bool(writer), readers)
        assert (task.preempt_count, task.irqs_disabled) == (1, irqs)
    assert (lock.writer, lock.readers, task.preempt_count, task.irqs_disabled) == (False, 0, 0, 0)


def test_readers_share_and_a_writer_waits_for_all_of_them(task: TaskStruct) -> None:
    lock = RwLock("lock")
    lock.read_lock()
    lock.read_lock()
    assert (lock.readers, task.preempt_count) == (2, 2)
    lock.read_unlock()
    with pytest.raises(WouldBlock):
        lock.write_lock()
    lock.read_unlock()
    lock.write_lock()
    with pytest.raises(WouldBlock):
        lock.read_lock()


def test_interrupts_are_off_before_the_lock_is_waited_for(task: TaskStruct) -> None:
    lock = RwLock("lock", writer=True)
    with pytest.raises(WouldBlock):
        lock.read_lock_irq()
    with pytest.raises(WouldBlock):
        lock.write_lock_irq()
    assert (task.irqs_disabled, task.preempt_count) == (2, 0)


def test_trylock_never_waits(task: TaskStruct) -> None:
    lock = RwLock("lock", writer=True)
    assert not lock.read_trylock()
    assert (lock.readers, task.preempt_count) == (0, 0)
    lock.writer = False
    assert lock.read_trylock()
    assert (lock.readers, task.preempt_count) == (1, 1)
    assert lock.read_trylock()


def test_unlock_of_what_nobody_holds(task: TaskStruct) -> None:
    lock = RwLock("lock")
    for unlock in (SpinLock("spin").unlock, lock.read_unlock, lock.write_unlock):
        with reported("lock-imbalance"):
            unlock()
    lock.read_lock()
    with reported("lock-imbalance"):
        lock.write_unlock()  # held, but for reading


def test_only_raw_spinlocks_are_taken_where_preempt_rt_must_not_sleep(task: TaskStruct) -> None:
    task.raw_context = 1
    RawSpinLock("raw").lock()
    for take in (SpinLock("spin").lock, RwLock("rw").read_lock, RwLock("rw").write_lock, RwLock("rw").read_trylock):
        with reported("sleeping-in-atomic"):
            take()
