# SPDX-License-Identifier: GPL-2.0-only
"""Concurrent tasks: threads, and a long invalidation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from pfncache.linux.include.uapi import (
    MADV_DONTNEED,
    MADV_NOHUGEPAGE,
    MADV_POPULATE_WRITE,
    MAP_ANONYMOUS,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_RW,
)
from pfncache.machines.host import libc, pace
from pfncache.machines.resource import Task, Window

T = TypeVar("T")
WINDOW_BYTES = 1 << 30
"""Populated memory that takes long enough to unmap for tests to run meanwhile."""
_BEGIN_SECONDS = 0.005
"""From the start of the thread until its madvise() has begun."""

_ZAP_SECONDS = 30.0
"""Bound of the whole window."""


class Worker:
    """A thread that waits for one piece of work. A daemon: one that blocks in the kernel must not keep the process."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self._work.get()()

    def do(self, work: Callable[[], None]) -> None:
        """Run this in the thread. Called once."""
        self._work.put(work)


class ThreadTask(Task[T], Generic[T]):
    """A task in a thread."""

    def __init__(self, function: Callable[[], T], worker: Worker | None = None) -> None:
        self._function = function
        self._returned: list[T] = []
        self._raised: BaseException | None = None
        self._done = threading.Event()
        (worker or Worker()).do(self._call)

    def _call(self) -> None:
        try:
            self._returned.append(self._function())
        except BaseException as error:  # raised by result()
            self._raised = error
        self._done.set()

    def blocked(self, seconds: float = 0.15) -> bool:
        """Whether the thread has not ended after this time, which grows with the machine's pace."""
        return not pace.wait(self._done.wait, seconds)

    def result(self, seconds: float = 5.0) -> T:
        """Wait for the thread. Returns its result, or raises its exception."""
        started = time.monotonic()
        if self.blocked(seconds):
            raise TimeoutError(f"still running after {time.monotonic() - started:.1f} s")
        if self._raised is not None:
            raise self._raised
        return self._returned[0]


class ZapWindow(Window):
    """MADV_DONTNEED of WINDOW_BYTES in another thread: a single invalidation that is open meanwhile."""

    def __init__(self) -> None:
        self._base = libc.mmap(None, WINDOW_BYTES, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        libc.madvise(self._base, WINDOW_BYTES, MADV_NOHUGEPAGE)
        libc.madvise(self._base, WINDOW_BYTES, MADV_POPULATE_WRITE)
        begins = threading.Event()

        def zap() -> None:
            begins.set()
            libc.madvise(self._base, WINDOW_BYTES, MADV_DONTNEED)

        self._task = ThreadTask(zap)
        begins.wait()
        time.sleep(_BEGIN_SECONDS)

    def is_open(self) -> bool:
        """Whether madvise() has not returned."""
        return self._task.blocked(0)

    def close(self) -> None:
        """Wait for the end, and unmap the memory."""
        if self._base:
            self._task.result(_ZAP_SECONDS)
            libc.munmap(self._base, WINDOW_BYTES)
            self._base = 0
