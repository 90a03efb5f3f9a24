# SPDX-License-Identifier: GPL-2.0-only
"""The stages of a review: each is timed, and one that fails or is interrupted leaves the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from pfncache.interrupts import Terminated
from pfncache.review.report import StageRecord, StageState

Note = Callable[[str], None]
"""Takes a line of progress."""


class StageSkipped(Exception):
    """A stage that cannot be done; the message says why."""


class StageFailed(Exception):
    """A stage that was not done to its end, for a reason that is no error of the program; the message says it."""


class Stages:
    """What has become of each stage. Stages may run in several threads."""

    def __init__(self, note: Note, explain: Callable[[BaseException], str]) -> None:
        self._note = note
        self._explain = explain
        self._lock = Lock()
        self._records: dict[str, StageRecord] = {}
        self.interrupted: BaseException | None = None
        """What has ended the review early."""

    @property
    def records(self) -> tuple[StageRecord, ...]:
        """The stages in the order in which they began."""
        return tuple(self._records.values())

    def run(self, name: str, work: Callable[[], str]) -> None:
        """Do a stage, which returns what it did in words. What it raises is recorded, not raised.

        After an interrupt nothing is done.
        """
        if self.is_over:
            self._put(StageRecord(name=name, state=StageState.INTERRUPTED, text="interrupted before it began"))
            return
        started = time.perf_counter()
        self._put(StageRecord(name=name, state=StageState.INTERRUPTED, text="it has not ended"))
        state = StageState.DONE
        try:
            text = work()
        except StageSkipped as reason:
            state, text = StageState.SKIPPED, str(reason)
        except StageFailed as reason:
            state, text = StageState.INTERRUPTED if self.is_over else StageState.FAILED, str(reason)
        except (KeyboardInterrupt, Terminated) as error:
            state, text, self.interrupted = StageState.INTERRUPTED, "it has not ended", error
        except Exception as error:
            state, text = StageState.FAILED, self._explain(error)
        record = StageRecord(name=name, state=state, text=text, seconds=time.perf_counter() - started)
        self._put(record)
        self._note(describe(record))

    def skip(self, name: str, why: str, *, is_wanted: bool) -> None:
        """Record a stage that is left out."""
        self._put(StageRecord(name=name, state=StageState.SKIPPED, text=why, is_wanted=is_wanted))

    def record(self, name: str) -> StageRecord | None:
        """Return what has become of a stage; None if it was not begun."""
        return self._records.get(name)

    @property
    def is_over(self) -> bool:
        """Whether an interrupt has ended the review."""
        return self.interrupted is not None

    def _put(self, record: StageRecord) -> None:
        with self._lock:
            self._records[record.name] = record


def describe(record: StageRecord) -> str:
    """Return a stage in a line."""
    state = "" if record.state is StageState.DONE else f"{record.state}: "
    return f"{record.name}: {state}{record.text or 'done'} ({record.seconds:.1f} s)"
