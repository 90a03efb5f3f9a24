# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C, SIGTERM and the time limit end the command even while a user's code never returns to the interpreter.

A loop in C code, such as ``sum(iter(int, 1))``, holds the interpreter lock: neither signal handlers nor threads of
Python run. So a child process learns of each signal from the C part of the handler, through signal.set_wakeup_fd(), and
sends it again if the block does not end. By then the kernel has put back the default action (SA_RESETHAND), which ends
the process. The time limit is SIGALRM. If that does not end the block, the child sends SIGVTALRM, whose handler ends
the process with an exit status.
"""

from __future__ import annotations

import ctypes
import functools
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

GRACE_SECONDS = 3.0
"""Time from a signal until it is sent again, and from then until SIGKILL, in seconds."""
LINES = {signal.SIGINT: b"interrupted\n", signal.SIGTERM: b"terminated\n"}
"""By signal: what the command prints, too, when it ends in order."""
LATE_STATUS = 2
"""The exit status of a process whose block does not end in time: the file is wrong."""
SA_RESETHAND = 0x80000000

_end_late = ctypes.CFUNCTYPE(None)(functools.partial(os._exit, LATE_STATUS))
"""A handler that the kernel calls, in the thread that has the interpreter lock. None of it is Python code, which would
begin with the handler of SIGALRM."""
_libc = ctypes.CDLL(None, use_errno=True)


class _Sigaction(ctypes.Structure):
    """struct sigaction of the C library; the fields before the flags are kept as they are."""

    _fields_ = (
        ("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16), ("flags", ctypes.c_uint),
        ("restorer", ctypes.c_void_p),
    )  # fmt: skip


@contextmanager
def ended_by_signals(late: str = "does not end in time") -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGALRM end the process within seconds in the block, if the command raises exceptions.

    `late` is printed if it is SIGALRM, and if its handler does not end the block.
    Workers, and programs that use the package, have other handlers, which stay as they are.
    """
    handlers = {number: signal.getsignal(number) for number in LINES}
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not all(callable(handler) for handler in handlers.values()):
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    kill = os.kill  # which code in the block must not call
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, LINES)
    child = _fork(reader, writer, f"Error: {late}\n".encode())
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in LINES:
        _reset_when_delivered(number)
    vtalrm = _set_action(signal.SIGVTALRM, _Sigaction(handler=ctypes.cast(_end_late, ctypes.c_void_p)))
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, LINES)
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _set_action(signal.SIGVTALRM, vtalrm)
        os.close(reader)
        os.close(writer)
        if child:
            kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _reset_when_delivered(number: int) -> None:
    """Let the kernel restore the default action of a signal once its handler has been called."""
    action = _Sigaction()
    if _libc.sigaction(number, None, ctypes.byref(action)) == 0:
        action.flags |= SA_RESETHAND
        _set_action(number, action)


def _set_action(number: int, action: _Sigaction) -> _Sigaction:
    """Set the action of a signal. Returns the one before."""
    before = _Sigaction()
    _libc.sigaction(number, ctypes.byref(action), ctypes.byref(before))
    return before


def _fork(reader: int, writer: int, late: bytes) -> int:
    """Start the child. Returns 0 if there is no process for it: then the second Ctrl-C ends the process."""
    parent = os.getpid()
    try:
        child = os.fork()
    except OSError:
        return 0
    if child == 0:
        _guard(reader, writer, parent, late)
    return child


def _guard(reader: int, writer: int, parent: int, late: bytes) -> NoReturn:
    """Send each signal that the pipe names again, until the pipe is closed. The mask blocks SIGINT and SIGTERM here."""
    leave = os._exit
    try:
        os.close(writer)
        while number := _next(reader):
            deadline = time.monotonic() + GRACE_SECONDS
            if _is_closed_by(reader, deadline):
                break
            is_late = number == signal.SIGALRM
            os.write(2, late if is_late else LINES[signal.Signals(number)])
            os.kill(parent, signal.SIGVTALRM if is_late else number)
            if not _is_closed_by(reader, deadline + GRACE_SECONDS):
                os.kill(parent, signal.SIGKILL)
    finally:
        leave(0)


def _next(reader: int) -> int:
    """Return the next signal from the pipe that is to end the block; 0 if it is closed."""
    while data := os.read(reader, 1):
        if data[0] in {*LINES, signal.SIGALRM}:
            return data[0]
    return 0


def _is_closed_by(reader: int, deadline: float) -> bool:
    """Read the pipe until it is closed, or until the deadline."""
    while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if not os.read(reader, 1):
            return True
    return False
