# SPDX-License-Identifier: GPL-2.0-only
"""SIGTERM as an exception, so that it ends work as Ctrl-C does: folders are removed, and what was found is shown."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class Terminated(BaseException):
    """SIGTERM has arrived."""


DEFAULT: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""By signal: the handler of a program that has set none."""
ERROR: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_received: type[BaseException] | None = None
"""The interruption that the current interruptible() block has received."""


@contextmanager
def raising() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C and Terminated at SIGTERM in the block.

    Blocks may be nested. A handler that the caller's program has set stays, and so does a signal that is ignored.
    Threads other than the main one get no signals.
    """
    is_main = threading.current_thread() is threading.main_thread()
    own = [number for number, handler in DEFAULT.items() if is_main and signal.getsignal(number) == handler]
    try:
        for number in own:
            signal.signal(number, lambda number, _: _raise(ERROR[number]))
        yield
    finally:
        for number in own:
            signal.signal(number, DEFAULT[number])


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise as in raising(), and keep what was raised for reraise() to raise it again."""
    global _received
    _received = None
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    unraisable = sys.unraisablehook
    try:
        sys.unraisablehook = lambda error: None if _will_reraise(error) else unraisable(error)
        with raising():
            yield
    finally:
        sys.unraisablehook = unraisable


def reraise() -> None:
    """Raise the interruption that the current block has received, in case the code that it interrupted caught it.

    A search ends at Ctrl-C as bounded, and Python ignores an exception that is raised in a destructor.
    """
    global _received
    if _received is not None:
        received, _received = _received, None
        raise received


def _will_reraise(error: sys.UnraisableHookArgs) -> bool:
    """True for the interruption that reraise() raises again: a destructor or a callback of C could not raise it."""
    return _received is not None and error.exc_type is _received


def _raise(received: type[BaseException]) -> NoReturn:
    global _received
    _received = received
    raise received
