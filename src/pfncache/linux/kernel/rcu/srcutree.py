# SPDX-License-Identifier: GPL-2.0-only
"""kernel/rcu/srcutree.c: sleepable RCU, with two reader counts and an index that flips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pfncache.lang.atomic import atomic, block_until, guard
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of
from pfncache.lang.records import Bound, Count, Record
from pfncache.lang.report import report
from pfncache.linux.include.linux.preempt import current_thread_info, might_sleep

SrcuIndex = Annotated[int, Bound(0, 1)]


class SrcuStruct(Record):
    """struct srcu_struct."""

    dereferenced: bool
    """Pointers are dereferenced under it: srcu_dereference() requires a section of this structure."""
    gp_in_progress: bool
    """A task waits for a grace period."""
    index: SrcuIndex
    readers0: Count
    readers1: Count

    @part_of("__srcu_read_lock")
    @atomic
    def read_lock(self) -> SrcuIndex:
        """Enter a read-side critical section; return the index for read_unlock().

        Linux: kernel/rcu/srcutree.c __srcu_read_lock(), v7.3.4.
        Simplified: one step. Linux loads the index, then increments its counter; synchronize() waits for the readers
        that were preempted between the two in its first scan, which has nothing to wait for here.
        """
        index = self.index
        if index == 0:
            self.readers0 += 1
        else:
            self.readers1 += 1
        if self.dereferenced:
            current_thread_info().srcu_depth += 1
        lock_acquire(self, exclusive=False, excludes=False)
        return index

    @part_of("__srcu_read_unlock")
    @atomic
    def read_unlock(self, index: SrcuIndex) -> None:
        """Leave a read-side critical section.

        Linux: kernel/rcu/srcutree.c __srcu_read_unlock(), include/linux/srcu.h srcu_lock_release(), v7.3.4.
        """
        if (self.readers0 if index == 0 else self.readers1) == 0:
            report("lock-imbalance", f"{self} is unlocked, but no reader is in a section under index {index}")
        if index == 0:
            self.readers0 -= 1
        else:
            self.readers1 -= 1
        if self.dereferenced:
            current_thread_info().srcu_depth -= 1
        lock_release(self)

    @part_of("synchronize_srcu")
    def synchronize(self) -> None:
        """Wait until every read-side critical section that began before the call has ended.

        Readers that loaded the index before an earlier flip may still count under the inactive one, so that one
        drains first; then the index flips and the other drains.

        Linux: kernel/rcu/srcutree.c synchronize_srcu(), v7.3.4.
        Simplified: two scans; each caller runs a grace period of its own, one after the other (srcu_gp_mutex).
        """
        might_sleep()
        self.start_grace_period()
        self.wait_for_inactive_readers()
        self.flip()
        self.wait_for_inactive_readers()
        self.gp_in_progress = False

    @part_of("srcu_gp_start")
    @atomic
    def start_grace_period(self) -> None:
        """Wait until no other grace period is in progress: a flip in its middle would end it early.

        Linux: kernel/rcu/srcutree.c srcu_gp_start(), srcu_advance_state(), v7.3.4.
        """
        block_until(not self.gp_in_progress)
        self.gp_in_progress = True

    @part_of("srcu_flip")
    @atomic
    def flip(self) -> None:
        """Flip the index under which new readers count.

        Linux: kernel/rcu/srcutree.c srcu_flip(), v7.3.4.
        """
        self.index = 1 - self.index

    @part_of("try_check_zero")
    @atomic
    def wait_for_inactive_readers(self) -> None:
        """Wait until no reader is left under the inactive index.

        Linux: kernel/rcu/srcutree.c try_check_zero(), v7.3.4.
        """
        if self.index == 0:
            block_until(self.readers1 == 0)
        else:
            block_until(self.readers0 == 0)
        lock_acquire(self, exclusive=True, excludes=False)
        lock_release(self)


@atomic
def srcu_dereference_check(pointer: str, otherwise: bool) -> None:
    """Report a dereference of `pointer` outside a read-side critical section, unless `otherwise` makes it safe.

    Linux: include/linux/srcu.h srcu_dereference_check(), v7.3.4.
    """
    if current_thread_info().srcu_depth == 0 and not otherwise:
        report("srcu-unprotected", f"{current_thread_info()} dereferences {pointer} outside an SRCU read section")


@guard
def srcu_read_lock(srcu: SrcuStruct) -> Iterator[None]:
    """Hold an SRCU read-side critical section over the block.

    Linux: include/linux/srcu.h srcu_read_lock(), as guard(srcu), v7.3.4.
    """
    index = srcu.read_lock()
    yield
    srcu.read_unlock(index)
