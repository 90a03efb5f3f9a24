# SPDX-License-Identifier: GPL-2.0-only
"""kernel/rcu/update.c, include/linux/rcuwait.h: one task that sleeps until another wakes it."""

from __future__ import annotations

from pfncache.kernel.include.linux.preempt import might_sleep
from pfncache.kernel.model import Record, atomic, block_until


class Rcuwait(Record):
    """struct rcuwait: the waiter is on it from prepare_to_rcuwait() to finish_rcuwait()."""

    waiting: bool
    woken: bool

    @atomic
    def prepare_to_wait(self) -> None:
        """prepare_to_rcuwait()."""
        self.waiting = True

    @atomic
    def set_uninterruptible(self) -> None:
        """set_current_state(TASK_UNINTERRUPTIBLE): a wakeup from here on is not lost."""
        self.woken = False

    def schedule(self) -> None:
        """schedule(): sleep until a wakeup since the last set_uninterruptible()."""
        might_sleep()
        self.sleep()

    @atomic
    def sleep(self) -> None:
        """The moment at which the sleeper runs again."""
        block_until(self.woken)

    @atomic
    def finish_wait(self) -> None:
        """finish_rcuwait()."""
        self.waiting = False
        self.woken = False

    @atomic
    def wake_up(self) -> None:
        """rcuwait_wake_up()."""
        if self.waiting:
            self.woken = True
