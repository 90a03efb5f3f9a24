# SPDX-License-Identifier: GPL-2.0-only
"""What runs beside us: threads, and an invalidation that takes long."""

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
from pfncache.machines.host import libc
from pfncache.machines.machine import Task, Window

T = TypeVar("T")
WINDOW_BYTES = 1 << 30
"""So much populated memory takes long enough to unmap."""
_BEGUN = 0.005


class Worker:
    """A thread that waits for work. It is a daemon: one that the kernel does not let go must not keep the process."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self._work.get()()

    def do(self, work: Callable[[], None]) -> None:
        """The one thing that it does."""
        self._work.put(work)


class ThreadTask(Task[T], Generic[T]):
    """What a thread does."""

    def __init__(self, function: Callable[[], T], worker: Worker | None = None) -> None:
        self._function = function
        self._returned: list[T] = []
        self._raised: BaseException | None = None
        self._done = threading.Event()
        (worker or Worker()).do(self._call)

    def _call(self) -> None:
        try:
            self._returned.append(self._function())
        except BaseException as error:  # handed to whoever asks for the result
            self._raised = error
        self._done.set()

    def blocked(self, seconds: float = 0.15) -> bool:
        """Whether the thread is still at it after so long."""
        return not self._done.wait(seconds)

    def result(self, seconds: float = 5.0) -> T:
        """Wait for the thread."""
        if self.blocked(seconds):
            raise TimeoutError(f"still running after {seconds} s")
        if self._raised is not None:
            raise self._raised
        return self._returned[0]


class ZapWindow(Window):
    """MADV_DONTNEED of much populated memory in another thread: one invalidation, open while that takes."""

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
        time.sleep(_BEGUN)

    def is_open(self) -> bool:
        """Whether the unmapping still runs."""
        return self._task.blocked(0)

    def close(self) -> None:
        """Wait for the end."""
        if self._base:
            self._task.result()
            libc.munmap(self._base, WINDOW_BYTES)
            self._base = 0
