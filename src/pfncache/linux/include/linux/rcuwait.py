# SPDX-License-Identifier: GPL-2.0-only
"""kernel/rcu/update.c, include/linux/rcuwait.h: one task that sleeps until another wakes it."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.part_of import part_of
from pfncache.lang.records import Record
from pfncache.linux.include.linux.preempt import might_sleep


class Rcuwait(Record):
    """struct rcuwait: the waiter is on it from prepare_to_rcuwait() to finish_rcuwait()."""

    waiting: bool
    woken: bool

    @atomic
    def prepare_to_rcuwait(self) -> None:
        """prepare_to_rcuwait().

        Linux: include/linux/rcuwait.h prepare_to_rcuwait(), v7.3.4.
        """
        self.waiting = True

    @atomic
    @part_of("set_current_state")
    def set_uninterruptible(self) -> None:
        """set_current_state(TASK_UNINTERRUPTIBLE): a wakeup from here on is not lost.

        Linux: include/linux/sched.h set_current_state(), v7.3.4.
        """
        self.woken = False

    def schedule(self) -> None:
        """schedule(): sleep until a wakeup since the last set_uninterruptible().

        Linux: kernel/sched/core.c schedule(), v7.3.4.
        """
        might_sleep()
        self.sleep()

    @atomic
    @part_of("__schedule")
    def sleep(self) -> None:
        """The moment at which the sleeper runs again.

        Linux: kernel/sched/core.c __schedule(), v7.3.4.
        """
        block_until(self.woken)

    @atomic
    def finish_rcuwait(self) -> None:
        """finish_rcuwait().

        Linux: include/linux/rcuwait.h finish_rcuwait(), v7.3.4.
        """
        self.waiting = False
        self.woken = False

    @atomic
    def rcuwait_wake_up(self) -> None:
        """rcuwait_wake_up().

        Linux: kernel/exit.c rcuwait_wake_up(), v7.3.4.
        """
        if self.waiting:
            self.woken = True
