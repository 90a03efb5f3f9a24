# SPDX-License-Identifier: GPL-2.0-only
"""How a replay sees model code run: every access to shared state, and the task that executes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pfncache.lang.records import Record


class Tracer(Protocol):
    """Sees every preemption point of replayed code before it is passed."""

    def access(self, record: Record, field: str) -> None:
        """A field of `record` is about to be read or written."""

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """An atomic function is about to run."""

    def leave_atomic(self) -> None:
        """The atomic function is done."""

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """A field of `record` went from `old` to `new`."""

    def choose(self, options: int) -> int:
        """Pick one of `options` outcomes."""


active: Tracer | None = None
"""The tracer of the running replay."""
_running: Any = None
"""The task that executes."""


@contextmanager
def tracing(tracer: Tracer) -> Iterator[None]:
    """Let `tracer` see what model code does inside the block."""
    global active
    saved, active = active, tracer
    try:
        yield
    finally:
        active = saved


def running() -> Any:
    """The record of the task that executes, as ``current`` is in Linux."""
    return _running


@contextmanager
def run_as(task: Any) -> Iterator[None]:
    """Execute the block as `task`."""
    global _running
    saved, _running = _running, task
    try:
        yield
    finally:
        _running = saved


def switch_to(task: Any) -> None:
    """Make `task` the one that executes, as the scheduler does."""
    global _running
    _running = task
