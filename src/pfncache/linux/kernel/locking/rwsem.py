# SPDX-License-Identifier: GPL-2.0-only
"""kernel/locking/rwsem.c: sleeping reader-writer locks."""

from __future__ import annotations

from collections.abc import Iterator

from pfncache.lang.atomic import atomic, block_until, guard
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of
from pfncache.lang.records import Count, Record
from pfncache.lang.report import report
from pfncache.linux.include.linux.preempt import might_sleep


class RwSemaphore(Record):
    """struct rw_semaphore."""

    writer: bool
    readers: Count

    @part_of("down_read")
    def lock_shared(self) -> None:
        """Acquire the semaphore for reading; may sleep.

        Linux: kernel/locking/rwsem.c down_read(), v7.3.4.
        Simplified: no order among waiters; a waiting writer does not block readers.
        """
        might_sleep()
        self.acquire_shared()

    @part_of("rwsem_read_trylock")
    @atomic
    def acquire_shared(self) -> None:
        """Take the semaphore for reading, in one step.

        Linux: kernel/locking/rwsem.c rwsem_read_trylock(), v7.3.4.
        """
        block_until(not self.writer)
        self.readers += 1
        lock_acquire(self, exclusive=False)

    @part_of("down_read_trylock")
    @atomic
    def trylock_shared(self) -> bool:
        """Take the semaphore for reading unless a writer holds it; return whether it was taken.

        Linux: kernel/locking/rwsem.c down_read_trylock(), v7.3.4.
        Locks: any order, as it never waits.
        """
        if self.writer:
            return False
        self.readers += 1
        lock_acquire(self, exclusive=False, waits=False)
        return True

    @part_of("up_read")
    @atomic
    def unlock_shared(self) -> None:
        """Release the semaphore for reading.

        Linux: kernel/locking/rwsem.c up_read(), v7.3.4.
        """
        if self.readers == 0:
            report("lock-imbalance", f"{self} is unlocked for reading, but no reader holds it")
        self.readers -= 1
        lock_release(self)

    @part_of("down_write")
    def lock(self) -> None:
        """Acquire the semaphore for writing; may sleep.

        Linux: kernel/locking/rwsem.c down_write(), v7.3.4.
        """
        might_sleep()
        self.acquire()

    @part_of("rwsem_write_trylock")
    @atomic
    def acquire(self) -> None:
        """Take the semaphore for writing, in one step.

        Linux: kernel/locking/rwsem.c rwsem_write_trylock(), v7.3.4.
        """
        block_until(not self.writer and self.readers == 0)
        self.writer = True
        lock_acquire(self, exclusive=True)

    @atomic
    def downgrade_write(self) -> None:
        """Turn the hold for writing into one for reading; no writer comes in between.

        Linux: kernel/locking/rwsem.c downgrade_write(), v7.3.4.
        """
        if not self.writer:
            report("lock-imbalance", f"{self} is downgraded, but no writer holds it")
        self.writer = False
        lock_release(self)
        self.readers += 1
        lock_acquire(self, exclusive=False, waits=False)

    @part_of("up_write")
    @atomic
    def unlock(self) -> None:
        """Release the semaphore for writing.

        Linux: kernel/locking/rwsem.c up_write(), v7.3.4.
        """
        if not self.writer:
            report("lock-imbalance", f"{self} is unlocked for writing, but no writer holds it")
        self.writer = False
        lock_release(self)


@guard
def down_read(lock: RwSemaphore) -> Iterator[None]:
    """Hold `lock` for reading over the block.

    Linux: include/linux/rwsem.h down_read(), as guard(rwsem_read), v7.3.4.
    """
    lock.lock_shared()
    yield
    lock.unlock_shared()


@guard
def down_write(lock: RwSemaphore) -> Iterator[None]:
    """Hold `lock` for writing over the block.

    Linux: include/linux/rwsem.h down_write(), as guard(rwsem_write), v7.3.4.
    """
    lock.lock()
    yield
    lock.unlock()
