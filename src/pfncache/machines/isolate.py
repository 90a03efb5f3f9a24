# SPDX-License-Identifier: GPL-2.0-only
"""Run something in a process of its own, with a bound: it may hang or crash, and nothing of it is left."""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pfncache.machines.host.libc import die_with_parent

T = TypeVar("T")
_AFTER_KILL = 5.0
"""A killed process that the kernel does not let go by then is left behind, and said to be."""


@dataclass(frozen=True)
class Ended(Generic[T]):
    """How it ended."""

    value: T | None
    trouble: str = ""
    """Empty, or what went wrong: a signal, an exception, a hang."""
    hung: bool = False
    seconds: float = 0.0
    left: bool = False
    """Whether its process is still there, since the kernel does not let it go."""


def isolated(function: Callable[[], T], seconds: float) -> Ended[T]:
    """Run a function in a child process, and kill the child and its children when time is up."""
    started = time.monotonic()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(function, writer)
    os.close(writer)
    child = os.pidfd_open(pid)
    try:
        data, in_time = _collect(reader, started + seconds)
        # Its own threads or children may live on: the group goes as a whole.
        _kill(pid)
        if not select.select([child], [], [], _AFTER_KILL)[0]:
            value, _ = pickle.loads(data) if data and in_time else (None, "")
            spent = time.monotonic() - started
            return Ended(value, f"cannot be killed (process {pid})", value is None, spent, left=True)
        _, status = os.waitpid(pid, 0)
    except BaseException:  # Ctrl-C is for us alone: the child is in a group of its own
        _kill(pid)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(child)
        os.close(reader)
    spent = time.monotonic() - started
    if not in_time:
        return Ended(None, f"not done after {seconds:.0f} s", True, spent)
    if data:
        value, trouble = pickle.loads(data)
        return Ended(value, trouble, False, spent)
    number = os.waitstatus_to_exitcode(status)
    how = f"killed by {signal.Signals(-number).name}" if number < 0 else f"exited with {number}"
    return Ended(None, how, False, spent)


def _child(function: Callable[[], T], writer: int) -> None:
    """Never returns."""
    try:
        os.setpgid(0, 0)
        die_with_parent()
        faulthandler.disable()  # the parent tells of a crash, in a line
        result: tuple[T | None, str] = (function(), "")
    except BaseException:  # whatever it is, the parent is told
        result = (None, traceback.format_exc(limit=-3).strip())
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(pickle.dumps(result))
    os._exit(0)


def _collect(reader: int, deadline: float) -> tuple[bytes, bool]:
    """What the child writes until it closes the pipe, and whether that was in time."""
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return data, False
        part = os.read(reader, 1 << 16)
        if not part:
            return data, True
        data += part


def _kill(pid: int) -> None:
    """Kill the child's process group. It may be gone, and may not have made its group yet."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
