# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/rcuwait.h: one task sleeps until another one wakes it."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.part_of import part_of
from pfncache.lang.records import Record
from pfncache.linux.include.linux.preempt import might_sleep


class Rcuwait(Record):
    """struct rcuwait: has a waiter from prepare_to_rcuwait() to finish_rcuwait()."""

    waiting: bool
    woken: bool

    @atomic
    def prepare_to_rcuwait(self) -> None:
        """Register the running task as the waiter.

        Linux: include/linux/rcuwait.h prepare_to_rcuwait(), v7.3.4.
        """
        self.waiting = True

    @atomic
    @part_of("set_current_state")
    def set_uninterruptible(self) -> None:
        """Enter TASK_UNINTERRUPTIBLE: a wakeup from here on is not lost.

        Linux: include/linux/sched.h set_current_state(), v7.3.4.
        """
        self.woken = False

    def schedule(self) -> None:
        """Sleep until a wakeup, unless there was one since set_uninterruptible().

        Linux: kernel/sched/core.c schedule(), v7.3.4.
        """
        might_sleep()
        self.sleep()

    @atomic
    @part_of("__schedule")
    def sleep(self) -> None:
        """Block until the wakeup.

        Linux: kernel/sched/core.c __schedule(), v7.3.4.
        """
        block_until(self.woken)

    @atomic
    def finish_rcuwait(self) -> None:
        """Unregister the waiter.

        Linux: kernel/rcu/update.c finish_rcuwait(), v7.3.4.
        """
        self.waiting = False
        self.woken = False

    @atomic
    def rcuwait_wake_up(self) -> None:
        """Wake the waiter, if there is one.

        Linux: kernel/exit.c rcuwait_wake_up(), v7.3.4.
        """
        if self.waiting:
            self.woken = True
