# SPDX-License-Identifier: GPL-2.0-only
"""kernel/locking/mutex.c: sleeping locks."""

from __future__ import annotations

from collections.abc import Iterator

from pfncache.lang.atomic import atomic, block_until, guard
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of
from pfncache.lang.records import Record
from pfncache.lang.report import report
from pfncache.linux.include.linux.preempt import current_thread_info, might_sleep


class Mutex(Record):
    """struct mutex."""

    held: bool
    dereferenced: bool
    """Pointers that SRCU protects may be dereferenced under it: kvm->slots_lock."""

    @part_of("mutex_lock")
    def lock(self) -> None:
        """Acquire the mutex; may sleep.

        Linux: kernel/locking/mutex.c mutex_lock(), v7.3.4.
        Simplified: no order among waiters.
        """
        might_sleep()
        self.acquire()

    @part_of("__mutex_trylock")
    @atomic
    def acquire(self) -> None:
        """Take the mutex, in one step.

        Linux: kernel/locking/mutex.c __mutex_trylock(), v7.3.4.
        """
        block_until(not self.held)
        self.held = True
        if self.dereferenced:
            current_thread_info().slots_lock_depth += 1
        lock_acquire(self, exclusive=True)

    @part_of("mutex_trylock")
    @atomic
    def trylock(self) -> bool:
        """Take the mutex if it is free; return whether it was.

        Linux: kernel/locking/mutex.c mutex_trylock(), v7.3.4; of a folio: include/linux/pagemap.h folio_trylock().
        Locks: any order, as it never waits.
        """
        if self.held:
            return False
        self.held = True
        if self.dereferenced:
            current_thread_info().slots_lock_depth += 1
        lock_acquire(self, exclusive=True, waits=False)
        return True

    @part_of("mutex_unlock")
    @atomic
    def unlock(self) -> None:
        """Release the mutex.

        Linux: kernel/locking/mutex.c mutex_unlock(), v7.3.4.
        """
        if not self.held:
            report("lock-imbalance", f"{self} is unlocked, but is not held")
        self.held = False
        if self.dereferenced:
            current_thread_info().slots_lock_depth -= 1
        lock_release(self)


@part_of("mutex_lock")
@guard
def mutex(lock: Mutex) -> Iterator[None]:
    """Hold `lock` over the block.

    Linux: include/linux/mutex.h mutex_lock(), as guard(mutex), v7.3.4.
    """
    lock.lock()
    yield
    lock.unlock()
