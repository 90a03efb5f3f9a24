# SPDX-License-Identifier: GPL-2.0-only
"""SIGTERM as an exception, so that it ends work as Ctrl-C does: folders are removed, and what was found is shown."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM has arrived."""


_received: type[BaseException] | None = None
"""The interruption that the current interruptible() block has received."""


@contextmanager
def raising_on_sigterm() -> Iterator[None]:
    """Raise Terminated in the block when SIGTERM arrives. Restores the handler at the end.

    Threads other than the main one get no signals, and a program that ignores SIGTERM continues to.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) == signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: _raise(Terminated))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C and Terminated at SIGTERM in the block, for reraise() to raise them again.

    Blocks may be nested. A handler that the caller's program has set stays, and so does a signal that is ignored.
    """
    global _received
    _received = None
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    unraisable = sys.unraisablehook
    own_int = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    own_term = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    try:
        if own_int:
            signal.signal(signal.SIGINT, lambda *_: _raise(KeyboardInterrupt))
        if own_term:
            signal.signal(signal.SIGTERM, lambda *_: _raise(Terminated))
        sys.unraisablehook = lambda error: None if _will_reraise(error) else unraisable(error)
        yield
    finally:
        sys.unraisablehook = unraisable
        if own_int:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if own_term:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


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
