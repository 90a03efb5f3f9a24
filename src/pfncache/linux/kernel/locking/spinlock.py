# SPDX-License-Identifier: GPL-2.0-only
"""kernel/locking/spinlock.c: spinlocks and rwlocks, with interrupts on or off."""

from __future__ import annotations

from collections.abc import Iterator

from pfncache.lang.atomic import atomic, block_until, guard
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.records import Count, Record
from pfncache.lang.report import report
from pfncache.linux.include.linux.preempt import current_thread_info, local_irq_disable, local_irq_enable


@part_of_caller
@atomic
def check_wait_context(lock: Record) -> None:
    """Report a lock that sleeps with PREEMPT_RT where only raw spinlocks may be taken.

    Linux: kernel/locking/lockdep.c check_wait_context(), v7.3.4.
    Simplified: only kernels with PREEMPT_RT have such contexts.
    """
    if current_thread_info().raw_context != 0:
        report("sleeping-in-atomic", f"{current_thread_info()} takes {lock}, which sleeps, where it must not")


class SpinLock(Record):
    """spinlock_t."""

    held: bool
    raw: bool
    """raw_spinlock_t."""

    @part_of("spin_lock")
    @atomic
    def lock(self) -> None:
        """Acquire the lock.

        Linux: include/linux/spinlock.h spin_lock(), kernel/locking/spinlock.c _raw_spin_lock(), v7.3.4.
        Simplified: no order among waiters.
        """
        block_until(not self.held)
        if not self.raw:
            check_wait_context(self)
        self.held = True
        current_thread_info().preempt_count += 1
        lock_acquire(self, exclusive=True)

    @part_of("spin_unlock")
    @atomic
    def unlock(self) -> None:
        """Release the lock.

        Linux: include/linux/spinlock.h spin_unlock(), kernel/locking/spinlock.c _raw_spin_unlock(), v7.3.4.
        """
        if not self.held:
            report("lock-imbalance", f"{self} is unlocked, but is not held")
        self.held = False
        current_thread_info().preempt_count -= 1
        lock_release(self)


class RawSpinLock(SpinLock):
    """raw_spinlock_t: it spins with PREEMPT_RT, too."""

    raw: bool = True


class RwLock(Record):
    """rwlock_t. The _irq forms also disable interrupts on this CPU."""

    writer: bool
    readers: Count

    @atomic
    def read_lock(self) -> None:
        """Acquire the lock for reading.

        Linux: include/linux/rwlock.h read_lock(), kernel/locking/spinlock.c _raw_read_lock(), v7.3.4.
        Simplified: no order among waiters.
        """
        block_until(not self.writer)
        check_wait_context(self)
        self.readers += 1
        current_thread_info().preempt_count += 1
        lock_acquire(self, exclusive=False)

    @atomic
    def read_trylock(self) -> bool:
        """Acquire the lock for reading unless a writer holds it; return whether it was acquired.

        Linux: include/linux/rwlock.h read_trylock(), kernel/locking/spinlock.c _raw_read_trylock(), v7.3.4.
        Simplified: Linux also fails while a writer waits. The caller does then what it does while a writer holds the
        lock, which the model reaches as well.
        """
        check_wait_context(self)
        if self.writer:
            return False
        self.readers += 1
        current_thread_info().preempt_count += 1
        lock_acquire(self, exclusive=False, waits=False)
        return True

    @atomic
    def read_unlock(self) -> None:
        """Release the lock for reading.

        Linux: include/linux/rwlock.h read_unlock(), kernel/locking/spinlock.c _raw_read_unlock(), v7.3.4.
        """
        if self.readers == 0:
            report("lock-imbalance", f"{self} is unlocked for reading, but no reader holds it")
        self.readers -= 1
        current_thread_info().preempt_count -= 1
        lock_release(self)

    @atomic
    def write_lock(self) -> None:
        """Acquire the lock for writing.

        Linux: include/linux/rwlock.h write_lock(), kernel/locking/spinlock.c _raw_write_lock(), v7.3.4.
        """
        block_until(not self.writer and self.readers == 0)
        check_wait_context(self)
        self.writer = True
        current_thread_info().preempt_count += 1
        lock_acquire(self, exclusive=True)

    @atomic
    def write_unlock(self) -> None:
        """Release the lock for writing.

        Linux: include/linux/rwlock.h write_unlock(), kernel/locking/spinlock.c _raw_write_unlock(), v7.3.4.
        """
        if not self.writer:
            report("lock-imbalance", f"{self} is unlocked for writing, but no writer holds it")
        self.writer = False
        current_thread_info().preempt_count -= 1
        lock_release(self)

    @part_of("read_lock_irqsave")
    def read_lock_irq(self) -> None:
        """Disable interrupts, then acquire the lock for reading.

        Linux: include/linux/rwlock.h read_lock_irqsave(), kernel/locking/spinlock.c _raw_read_lock_irqsave(), v7.3.4.
        """
        local_irq_disable()
        self.read_lock()

    @part_of("read_unlock_irqrestore")
    def read_unlock_irq(self) -> None:
        """Release the lock for reading, then restore interrupts.

        Linux: include/linux/rwlock.h read_unlock_irqrestore(),
        kernel/locking/spinlock.c _raw_read_unlock_irqrestore(), v7.3.4.
        """
        self.read_unlock()
        local_irq_enable()

    def write_lock_irq(self) -> None:
        """Disable interrupts, then acquire the lock for writing.

        Linux: include/linux/rwlock.h write_lock_irq(), kernel/locking/spinlock.c _raw_write_lock_irq(), v7.3.4.
        """
        local_irq_disable()
        self.write_lock()

    def write_unlock_irq(self) -> None:
        """Release the lock for writing, then enable interrupts.

        Linux: include/linux/rwlock.h write_unlock_irq(), kernel/locking/spinlock.c _raw_write_unlock_irq(), v7.3.4.
        """
        self.write_unlock()
        local_irq_enable()


@guard
def spin_lock(lock: SpinLock) -> Iterator[None]:
    """Hold `lock` over the block.

    Linux: include/linux/spinlock.h spin_lock(), as guard(spinlock), v7.3.4.
    """
    lock.lock()
    yield
    lock.unlock()


@guard
def read_lock(lock: RwLock) -> Iterator[None]:
    """Hold `lock` for reading over the block.

    Linux: include/linux/rwlock.h read_lock(), as guard(read_lock), v7.3.4.
    """
    lock.read_lock()
    yield
    lock.read_unlock()


@guard
def write_lock(lock: RwLock) -> Iterator[None]:
    """Hold `lock` for writing over the block.

    Linux: include/linux/rwlock.h write_lock(), as guard(write_lock), v7.3.4.
    """
    lock.write_lock()
    yield
    lock.write_unlock()


@part_of("read_lock_irqsave")
@guard
def read_lock_irq(lock: RwLock) -> Iterator[None]:
    """Hold `lock` for reading over the block, with interrupts off.

    Linux: include/linux/rwlock.h read_lock_irqsave(), as guard(read_lock_irqsave), v7.3.4.
    """
    lock.read_lock_irq()
    yield
    lock.read_unlock_irq()


@guard
def write_lock_irq(lock: RwLock) -> Iterator[None]:
    """Hold `lock` for writing over the block, with interrupts off.

    Linux: include/linux/rwlock.h write_lock_irq(), as guard(write_lock_irq), v7.3.4.
    """
    lock.write_lock_irq()
    yield
    lock.write_unlock_irq()
