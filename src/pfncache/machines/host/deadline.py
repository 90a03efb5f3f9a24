# SPDX-License-Identifier: GPL-2.0-only
"""Time bound of a system call that may block: a POSIX timer that signals the calling thread."""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from ctypes import Structure, byref, c_char, c_int, c_long, c_void_p
from types import FrameType

from pfncache.machines.host.libc import check

SIGEV_THREAD_ID = 4
"""include/uapi/asm-generic/siginfo.h."""
SIGNAL = signal.SIGRTMIN
_libc = ctypes.CDLL(None, use_errno=True)
_timer_settime = _libc.timer_settime
_REPEAT_SECONDS = 0.01
"""Interval of further signals: one that arrives just before the call starts has no effect."""


class Sigevent(Structure):
    """struct sigevent for SIGEV_THREAD_ID."""

    _fields_ = [
        ("sigev_value", c_void_p),
        ("sigev_signo", c_int),
        ("sigev_notify", c_int),
        ("sigev_notify_thread_id", c_int),
        ("pad", c_char * 44),
    ]


class Itimerspec(Structure):
    """struct itimerspec."""

    _fields_ = [("interval_sec", c_long), ("interval_nsec", c_long), ("value_sec", c_long), ("value_nsec", c_long)]


def _ignore(signum: int, frame: FrameType | None) -> None:
    """Do nothing: the signal is sent to make the system call return EINTR."""


def _spec(seconds: float) -> Itimerspec:
    return Itimerspec(0, int(_REPEAT_SECONDS * 1e9), int(seconds), int(seconds % 1 * 1e9))


class Deadline:
    """Bounds of calls, one timer for each calling thread. The first one has to be created in the main thread."""

    def __init__(self, seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(SIGNAL, _ignore)
        elif signal.getsignal(SIGNAL) is not _ignore:
            raise RuntimeError("the first machine has to be created in the main thread, which handles its signal")
        self._usual = byref(_spec(seconds))
        self._never = byref(Itimerspec())
        self._timers: dict[int, c_void_p] = {}

    def _timer(self) -> c_void_p:
        thread = threading.get_native_id()
        timer = self._timers.get(thread)
        if timer is None:
            event = Sigevent(None, SIGNAL, SIGEV_THREAD_ID, thread)
            timer = self._timers[thread] = c_void_p()
            check(_libc.timer_create(time.CLOCK_MONOTONIC, byref(event), byref(timer)), "timer_create")
        return timer

    def start(self, seconds: float | None = None) -> None:
        """Signal this thread when time is up, repeatedly until stop()."""
        spec = self._usual if seconds is None else byref(_spec(seconds))
        check(_timer_settime(self._timer(), 0, spec, None), "timer_settime")

    def stop(self) -> None:
        """Disarm the timer."""
        check(_timer_settime(self._timer(), 0, self._never, None), "timer_settime")

    def close(self) -> None:
        """Delete the timers."""
        while self._timers:
            _, timer = self._timers.popitem()
            check(_libc.timer_delete(timer), "timer_delete")
