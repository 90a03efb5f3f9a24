# SPDX-License-Identifier: GPL-2.0-only
"""SIGTERM as an exception, so that it ends work as Ctrl-C does: folders are removed, and what was found is shown."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(BaseException):
    """SIGTERM has arrived."""


@contextmanager
def raising_on_sigterm() -> Iterator[None]:
    """Raise Terminated in the block when SIGTERM arrives. Restores the handler at the end.

    Threads other than the main one get no signals, and a program that ignores SIGTERM continues to.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) == signal.SIG_IGN:
        yield
        return

    def ring(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
