# SPDX-License-Identifier: GPL-2.0-only
"""Atomic steps, blocking conditions, and blocks with a guaranteed end."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, Protocol, TypeVar

from pfncache.lang import tracing

P = ParamSpec("P")
T = TypeVar("T")


class WouldBlock(Exception):
    """A step is not enabled: its blocking condition is false, and no other task can run to change that."""


class Scheduler(Protocol):
    """Runs other tasks beside a direct call, so that a step that is not enabled waits instead of failing."""

    def block(self, why: WouldBlock) -> None:
        """Run another task. Return when the step may be enabled; raise `why` when no task can run."""


def atomic(function: Callable[P, T]) -> Callable[P, T]:
    """Mark a function that executes as one indivisible step."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        tracer = tracing.active
        if tracer is None:
            while True:
                try:
                    return function(*args, **kwargs)
                except WouldBlock as why:
                    _wait(why)
        tracer.enter_atomic(function)
        try:
            return function(*args, **kwargs)
        finally:
            tracer.leave_atomic()

    wrapper.is_atomic = True  # type: ignore[attr-defined]
    return wrapper


def _wait(why: WouldBlock) -> None:
    """Let other tasks run until the step may be enabled; raise `why` if the running task has no scheduler."""
    scheduler: Scheduler | None = getattr(tracing.running(), "host_scheduler", None)
    if scheduler is None:
        raise why
    scheduler.block(why)


def block_until(condition: bool) -> None:
    """Enable the step only while `condition` holds. At the start of an :func:`atomic` function."""
    if not condition:
        raise WouldBlock(f"{sys._getframe(1).f_code.co_qualname} would block forever")


def guard(function: Callable[P, Iterator[T]]) -> Callable[P, Any]:
    """Make a ``with`` block of a generator with a single ``yield``; its end also runs when the block returns."""
    manager = contextmanager(function)
    manager.is_guard = True  # type: ignore[attr-defined]
    return manager


def host_only(function: Callable[P, None]) -> Callable[P, None]:
    """Mark a method that only direct execution runs, such as one that copies bytes; the checker and its replay skip it.

    The receiver's ``host_execution`` is True in direct execution.
    """
    function.is_host_only = True  # type: ignore[attr-defined]

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        if args[0].host_execution:  # type: ignore[attr-defined]
            function(*args, **kwargs)

    return wrapper
