# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/lockdep.h: assertions that a lock is held.

The assertions do not check that the caller is the holder: a search also reaches the states in which no other task holds
the lock. The order of locks is checked by the checker itself.
"""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.lang.report import report
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.locking.rwsem import RwSemaphore
from pfncache.linux.kernel.locking.spinlock import RwLock


@atomic
def lockdep_assert_held(lock: Mutex) -> None:
    """Assert that a mutex is held.

    Linux: include/linux/lockdep.h lockdep_assert_held(), v7.3.4.
    """
    if not lock.held:
        report("lock-assertion", f"{lock} is not held")


@atomic
def lockdep_assert_held_write(lock: RwLock) -> None:
    """Assert that an rwlock is held for writing.

    Linux: include/linux/lockdep.h lockdep_assert_held_write(), v7.3.4.
    """
    if not lock.writer:
        report("lock-assertion", f"{lock} is not held for writing")


@atomic
def lockdep_assert_held_read(lock: RwLock) -> None:
    """Assert that an rwlock is held for reading.

    Linux: include/linux/lockdep.h lockdep_assert_held_read(), v7.3.4.
    """
    if lock.readers == 0:
        report("lock-assertion", f"{lock} is not held for reading")


@atomic
@part_of("lockdep_assert_held")
def assert_rwlock_held(lock: RwLock) -> None:
    """Assert that an rwlock is held, for reading or for writing.

    Linux: include/linux/lockdep.h lockdep_assert_held(), v7.3.4.
    """
    if not lock.writer and lock.readers == 0:
        report("lock-assertion", f"{lock} is not held")


@atomic
def mmap_assert_locked(lock: RwSemaphore) -> None:
    """Assert that mmap_lock is held, for reading or for writing.

    Linux: include/linux/mmap_lock.h mmap_assert_locked(), v7.3.4.
    """
    if not lock.writer and lock.readers == 0:
        report("lock-assertion", f"{lock} is not held")


@atomic
def mmap_assert_write_locked(lock: RwSemaphore) -> None:
    """Assert that mmap_lock is held for writing.

    Linux: include/linux/mmap_lock.h mmap_assert_write_locked(), v7.3.4.
    """
    if not lock.writer:
        report("lock-assertion", f"{lock} is not held for writing")
