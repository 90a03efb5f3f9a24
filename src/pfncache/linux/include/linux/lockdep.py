# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/lockdep.h: assertions that a lock is held.

That it is the caller who holds it is not looked at: a search also meets the moment at which nobody else does. What
lockdep says of the order of locks is the checker's to find out.
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
    """A mutex is held.

    Linux: include/linux/lockdep.h lockdep_assert_held(), v7.3.4.
    """
    if not lock.held:
        report("lock-assertion", f"{lock} is not held")


@atomic
def lockdep_assert_held_write(lock: RwLock) -> None:
    """An rwlock is held for writing.

    Linux: include/linux/lockdep.h lockdep_assert_held_write(), v7.3.4.
    """
    if not lock.writer:
        report("lock-assertion", f"{lock} is not held for writing")


@atomic
def lockdep_assert_held_read(lock: RwLock) -> None:
    """An rwlock is held for reading.

    Linux: include/linux/lockdep.h lockdep_assert_held_read(), v7.3.4.
    """
    if lock.readers == 0:
        report("lock-assertion", f"{lock} is not held for reading")


@atomic
@part_of("lockdep_assert_held")
def assert_rwlock_held(lock: RwLock) -> None:
    """An rwlock is held, for reading or for writing.

    Linux: include/linux/lockdep.h lockdep_assert_held(), v7.3.4.
    """
    if not lock.writer and lock.readers == 0:
        report("lock-assertion", f"{lock} is not held")


@atomic
def mmap_assert_locked(lock: RwSemaphore) -> None:
    """mmap_lock is held, for reading or for writing.

    Linux: include/linux/mmap_lock.h mmap_assert_locked(), v7.3.4.
    """
    if not lock.writer and lock.readers == 0:
        report("lock-assertion", f"{lock} is not held")


@atomic
def mmap_assert_write_locked(lock: RwSemaphore) -> None:
    """mmap_lock is held for writing.

    Linux: include/linux/mmap_lock.h mmap_assert_write_locked(), v7.3.4.
    """
    if not lock.writer:
        report("lock-assertion", f"{lock} is not held for writing")
