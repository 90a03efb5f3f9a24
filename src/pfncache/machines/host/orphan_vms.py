# SPDX-License-Identifier: GPL-2.0-only
"""VMs whose process has exited, since somebody else has their file descriptors; and the page frame that it had."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable

from pfncache.linux.include.uapi import MADV_NOHUGEPAGE, MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, PROT_RW
from pfncache.machines.host import libc
from pfncache.machines.host.pagemap import PRESENT, Pagemap
from pfncache.machines.machine import Left

PFN_MASK = (1 << 55) - 1
"""Bits 0 to 54 of an entry of pagemap; zero without CAP_SYS_ADMIN."""
SEARCH_BYTES, STEP_BYTES = 128 << 20, 1 << 20
MOST_FDS = 16
_BUILD_SECONDS = 10.0
TRIES = 4
"""So many processes exit before a page frame that is not handed out again is given up."""
_FILL = 1
"""A byte whose other bits KVM may set."""

Build = Callable[[], tuple[int, list[int]]]
"""Returns a user address, and the file descriptors of the VMs and vCPUs that were made."""


class Frame:
    """Memory of ours that is in the page frame that was somebody else's."""

    def __init__(self, pfn: int) -> None:
        self._base = libc.mmap(None, SEARCH_BYTES, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        libc.madvise(self._base, SEARCH_BYTES, MADV_NOHUGEPAGE)
        self.hva = self._find(pfn)

    def _find(self, pfn: int) -> int:
        """The allocator hands freed frames out again soon, to whoever is on the processor that has freed them."""
        here = os.sched_getaffinity(0)
        processors = sorted(here)
        try:
            with Pagemap() as pagemap:
                for number, start in enumerate(range(self._base, self._base + SEARCH_BYTES, STEP_BYTES)):
                    os.sched_setaffinity(0, {processors[number % len(processors)]})
                    ctypes.memset(start, _FILL, STEP_BYTES)
                    for page, entry in enumerate(pagemap.entries(start, STEP_BYTES)):
                        if entry & PRESENT and entry & PFN_MASK == pfn:
                            return start + page * PAGE_SIZE
        finally:
            os.sched_setaffinity(0, here)
        raise TimeoutError(f"page frame {pfn:#x} was not handed out again")

    def read(self) -> bytes:
        """What is in it now."""
        return ctypes.string_at(self.hva, PAGE_SIZE)

    def close(self) -> None:
        """Unmap the memory."""
        if self._base:
            libc.munmap(self._base, SEARCH_BYTES)
            self._base = 0


class LeftVms(Left):
    """File descriptors of VMs whose process is gone, and its page frame."""

    def __init__(self, build: Build) -> None:
        self._fds: list[int] = []
        for tries_left in reversed(range(TRIES)):
            pfn = self._make(build)
            try:
                self._frame = Frame(pfn)
                return
            except TimeoutError:
                self._close_fds()
                if not tries_left:
                    raise

    def _make(self, build: Build) -> int:
        """Fork the process that makes the VMs, and wait for its end. Returns its page frame."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            pid = os.fork()
            if pid == 0:
                _owner(build, theirs)
            theirs.close()
            try:
                return self._take_over(ours)
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                raise
            finally:
                os.waitpid(pid, 0)

    def _take_over(self, ours: socket.socket) -> int:
        if not select.select([ours], [], [], _BUILD_SECONDS)[0]:
            raise TimeoutError(f"no VM after {_BUILD_SECONDS:.0f} s")
        data, self._fds, _, _ = socket.recv_fds(ours, 8, MOST_FDS)
        if not data:
            raise ChildProcessError("the process that makes the VM has failed")
        return int(struct.unpack("<Q", data)[0])

    def written(self, seconds: float) -> list[int]:
        """The offsets of what has changed in the page frame, which is ours."""
        before = self._frame.read()
        time.sleep(seconds)
        after = self._frame.read()
        return [offset for offset in range(PAGE_SIZE) if before[offset] != after[offset]]

    def _close_fds(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def close(self) -> None:
        """Let the VMs go, and the memory."""
        self._close_fds()
        self._frame.close()


def _owner(build: Build, theirs: socket.socket) -> None:
    """Never returns."""
    try:
        hva, fds = build()
        with Pagemap() as pagemap:
            pfn = pagemap.entries(hva, PAGE_SIZE)[0] & PFN_MASK
        socket.send_fds(theirs, [struct.pack("<Q", pfn)], fds)
    finally:
        os._exit(0)
