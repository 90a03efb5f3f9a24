# SPDX-License-Identifier: GPL-2.0-only
"""kernel/time/hrtimer.c: high-resolution timers, whose callbacks run in hard-irq context."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.part_of import part_of
from pfncache.lang.records import Record


class Hrtimer(Record):
    """struct hrtimer. A queued timer may expire at any time."""

    queued: bool
    running: bool
    """Its callback runs."""
    event_owed: bool
    """In no kernel: it has expired, and its event is neither sent nor dropped; for a property."""

    @part_of("hrtimer_start_range_ns")
    @atomic
    def start(self) -> None:
        """Queue the timer.

        Linux: kernel/time/hrtimer.c hrtimer_start_range_ns(), v7.3.4.
        """
        self.queued = True

    @part_of("hrtimer_cancel")
    @atomic
    def cancel(self) -> None:
        """Remove the timer from its queue; wait for a callback that runs.

        Linux: kernel/time/hrtimer.c hrtimer_cancel(), v7.3.4.
        """
        block_until(not self.running)
        self.queued = False
        self.event_owed = False  # the caller drops the event, or delivers it

    @part_of("__run_hrtimer")
    @atomic
    def begin_callback(self) -> bool:
        """Remove an expired timer from its queue; return False if it was cancelled before.

        Linux: kernel/time/hrtimer.c __run_hrtimer(), v7.3.4.
        Locks: hard-irq context.
        """
        if not self.queued:
            return False
        self.queued = False
        self.running = True
        return True

    @part_of("__run_hrtimer")
    @atomic
    def end_callback(self) -> None:
        """Let hrtimer_cancel() go on.

        Linux: kernel/time/hrtimer.c __run_hrtimer(), v7.3.4.
        Locks: hard-irq context.
        """
        self.running = False
