# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C and SIGTERM as exceptions that long work cannot miss."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. A KeyboardInterrupt, so that whatever keeps a partial result at Ctrl-C keeps it then too."""


DEFAULTS: dict[int, tuple[Any, type[KeyboardInterrupt]]] = {
    signal.SIGINT: (signal.default_int_handler, KeyboardInterrupt),
    signal.SIGTERM: (signal.SIG_DFL, Terminated),
}
"""By signal: Python's handler, and the exception that it raises in an interruptible() block."""

_received: type[KeyboardInterrupt] | None = None
"""The interruption that the current block has received."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGINT and Terminated at SIGTERM inside the block; restore the handlers after it.

    Blocks may be nested. A handler that the program has set itself stays, and so does a signal that is ignored. Python
    handles signals in the main thread alone: in another thread the block changes nothing.
    """
    global _received
    _received = None
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number, (default, _) in DEFAULTS.items():
                if signal.getsignal(number) is default:
                    before[number] = signal.signal(number, _raise)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reraise() -> None:
    """Raise the interruption that the current block has received, in case the code that it interrupted caught it.

    A search ends at an interruption as bounded, and Python ignores an exception that is raised in a destructor.
    """
    global _received
    if _received is not None:
        received, _received = _received, None
        raise received


def _raise(number: int, frame: FrameType | None) -> None:
    global _received
    _received = DEFAULTS[number][1]
    raise _received
