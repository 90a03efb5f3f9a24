# SPDX-License-Identifier: GPL-2.0-only
"""kernel/locking/mutex.c: a lock that sleeps."""

from __future__ import annotations

from collections.abc import Iterator

from pfncache.kernel.include.linux.preempt import might_sleep
from pfncache.kernel.model import Record, atomic, block_until, guard, lock_acquire, lock_release, report


class Mutex(Record):
    """struct mutex."""

    held: bool

    def lock(self) -> None:
        """mutex_lock()."""
        might_sleep()
        self.acquire()

    @atomic
    def acquire(self) -> None:
        """The moment at which the mutex becomes ours."""
        block_until(not self.held)
        self.held = True
        lock_acquire(self, exclusive=True)

    @atomic
    def unlock(self) -> None:
        """mutex_unlock()."""
        if not self.held:
            report("lock-imbalance", f"{self} is unlocked, but nobody holds it")
        self.held = False
        lock_release(self)


@guard
def mutex(lock: Mutex) -> Iterator[None]:
    """guard(mutex)(): hold `lock` over the block."""
    lock.lock()
    yield
    lock.unlock()
