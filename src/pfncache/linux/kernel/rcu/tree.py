# SPDX-License-Identifier: GPL-2.0-only
"""kernel/rcu/tree.c: RCU, of a kernel in which readers can be preempted."""

from __future__ import annotations

from collections.abc import Iterator

from pfncache.lang.atomic import atomic, block_until, guard
from pfncache.lang.part_of import part_of
from pfncache.lang.records import Count, Record
from pfncache.linux.include.linux.preempt import current_thread_info


class RcuState(Record):
    """struct rcu_state."""

    readers: Count
    """Read-side critical sections."""

    @part_of("__rcu_read_lock")
    @atomic
    def read_lock(self) -> None:
        """Enter a read-side critical section.

        Linux: kernel/rcu/tree_plugin.h __rcu_read_lock(), v7.3.4.
        """
        self.readers += 1
        current_thread_info().rcu_read_lock_nesting += 1

    @part_of("__rcu_read_unlock")
    @atomic
    def read_unlock(self) -> None:
        """Leave a read-side critical section.

        Linux: kernel/rcu/tree_plugin.h __rcu_read_unlock(), v7.3.4.
        """
        self.readers -= 1
        current_thread_info().rcu_read_lock_nesting -= 1

    @part_of("rcu_do_batch")
    @atomic
    def wait_for_readers(self) -> None:
        """Wait until no read-side critical section is left.

        Linux: kernel/rcu/tree.c rcu_do_batch(), v7.3.4.
        Simplified: sections that began later are waited for, too. They cannot find what waits to be freed.
        """
        block_until(self.readers == 0)


@guard
def rcu_read_lock(rcu: RcuState) -> Iterator[None]:
    """Hold an RCU read-side critical section over the block.

    Linux: include/linux/rcupdate.h rcu_read_lock(), as guard(rcu), v7.3.4.
    """
    rcu.read_lock()
    yield
    rcu.read_unlock()
