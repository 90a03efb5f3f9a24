# SPDX-License-Identifier: GPL-2.0-only
"""Observation of executing model code: accesses to shared state, and the running task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Tracer(Protocol):
    """Observer of replayed code, called at every preemption point before the code passes it."""

    def access(self, record: Any, field: str) -> None:
        """Observe that a field of `record` is about to be read or written."""

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """Observe that an atomic function is about to run."""

    def leave_atomic(self) -> None:
        """Observe that the atomic function has ended."""

    def changed(self, record: Any, field: str, old: Any, new: Any) -> None:
        """Observe that a field of `record` changes from `old` to `new`."""

    def choose(self, options: int) -> int:
        """Return the outcome of a nondeterministic choice among `options`."""


active: Tracer | None = None
"""The tracer of the running replay; None in direct execution."""
_running: Any = None
"""The running task."""


@contextmanager
def tracing(tracer: Tracer) -> Iterator[None]:
    """Observe model code inside the block with `tracer`."""
    global active
    saved, active = active, tracer
    try:
        yield
    finally:
        active = saved


def running() -> Any:
    """Return the record of the running task."""
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
    """Make `task` the running task, as a scheduler does."""
    global _running
    _running = task
