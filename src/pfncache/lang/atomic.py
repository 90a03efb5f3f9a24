# SPDX-License-Identifier: GPL-2.0-only
"""Steps: what nothing else can come in between, and what ends a block."""

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
    """A direct call waits for something that nobody else is there to do."""


class Scheduler(Protocol):
    """Direct calls with others beside them: a step that cannot be taken waits instead of failing."""

    def block(self, why: WouldBlock) -> None:
        """Run somebody else; return when the step may be tried again, raise `why` when nobody can run."""


def atomic(function: Callable[P, T]) -> Callable[P, T]:
    """One step: nobody else runs between its start and its end."""

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
    """Let others run until the step is worth another try, where the running task has a scheduler."""
    scheduler: Scheduler | None = getattr(tracing.running(), "host_scheduler", None)
    if scheduler is None:
        raise why
    scheduler.block(why)


def block_until(condition: bool) -> None:
    """At the start of an :func:`atomic` function: the step cannot be taken while `condition` is false."""
    if not condition:
        raise WouldBlock(f"{sys._getframe(1).f_code.co_qualname} would wait for ever")


def guard(function: Callable[P, Iterator[T]]) -> Callable[P, Any]:
    """A ``with`` block from a generator with a single ``yield``, which also runs its end when the block returns."""
    manager = contextmanager(function)
    manager.is_guard = True  # type: ignore[attr-defined]
    return manager


def host_only(function: Callable[P, None]) -> Callable[P, None]:
    """What only direct execution does, like moving real bytes; the checker skips the call, and so does its replay.

    For methods of the kernel image, whose ``host_execution`` says which of the two it is for.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        if args[0].host_execution:  # type: ignore[attr-defined]
            function(*args, **kwargs)

    function.is_host_only = True  # type: ignore[attr-defined]
    return wrapper
