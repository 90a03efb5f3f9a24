# SPDX-License-Identifier: GPL-2.0-only
"""Run a function in a child process with a time bound. A hang or a crash is reported; the process is killed."""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pfncache.machines.host.libc import die_with_parent

T = TypeVar("T")
_KILL_SECONDS = 5.0
"""Time from SIGKILL until a process that has not exited counts as unkillable."""


@dataclass(frozen=True)
class IsolatedResult(Generic[T]):
    """Result of a child process."""

    value: T | None
    trouble: str = ""
    """Signal, exception or time-out; empty if there was none."""
    hung: bool = False
    seconds: float = 0.0
    unkillable: bool = False
    """Whether the process still exists, because it blocks in the kernel."""


def isolated(function: Callable[[], T], seconds: float) -> IsolatedResult[T]:
    """Run a function in a child process; kill the process group afterwards, or when time is up."""
    started = time.monotonic()
    reader, writer = os.pipe()
    # Python runs hooks at a fork, and ignores what is raised in them: a Ctrl-C that arrives there has to wait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(function, writer, before)
    os.close(writer)
    child = os.pidfd_open(pid)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        data, in_time = _collect(reader, started + seconds)
        # Threads or children of the child may still run: kill the whole group.
        _kill(pid)
        if not select.select([child], [], [], _KILL_SECONDS)[0]:
            value, _ = pickle.loads(data) if data and in_time else (None, "")
            spent = time.monotonic() - started
            return IsolatedResult(value, f"cannot be killed (process {pid})", value is None, spent, unkillable=True)
        _, status = os.waitpid(pid, 0)
    except BaseException:  # Ctrl-C does not reach the child, which is in a group of its own
        _kill(pid)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(child)
        os.close(reader)
    spent = time.monotonic() - started
    if not in_time:
        return IsolatedResult(None, f"not done after {seconds:.0f} s", True, spent)
    if data:
        value, trouble = pickle.loads(data)
        return IsolatedResult(value, trouble, False, spent)
    number = os.waitstatus_to_exitcode(status)
    how = f"killed by {signal.Signals(-number).name}" if number < 0 else f"exited with {number}"
    return IsolatedResult(None, how, False, spent)


def _child(function: Callable[[], T], writer: int, mask: Iterable[int]) -> None:
    """Run the function in the child with a signal mask, send its result and exit. Never returns."""
    try:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        die_with_parent()
        faulthandler.disable()  # the parent reports a crash, in a line
        result: tuple[T | None, str] = (function(), "")
    except BaseException:  # of any kind: it is sent to the parent
        result = (None, traceback.format_exc(limit=-3).strip())
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(pickle.dumps(result))
    os._exit(0)


def _collect(reader: int, deadline: float) -> tuple[bytes, bool]:
    """Read the pipe until the child closes it. Returns the data, and whether that was in time."""
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
    """Kill the child's process group, or the child alone before it has made its group; neither need exist."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
