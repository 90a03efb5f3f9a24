# SPDX-License-Identifier: GPL-2.0-only
"""VMs whose process has exited while another holds their file descriptors; and a page frame of that process."""

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
from pfncache.machines.host import libc, pace
from pfncache.machines.host.pagemap import PRESENT, Pagemap
from pfncache.machines.resource import OrphanedVms

PFN_MASK = (1 << 55) - 1
"""Bits 0 to 54 of a pagemap entry; zero without CAP_SYS_ADMIN."""
SEARCH_BYTES, STEP_BYTES = 128 << 20, 1 << 20
"""Memory that is allocated in search of a page frame, in total and at a time."""
MAX_FDS = 16
_BUILD_SECONDS = 10.0
TRIES = 4
"""Processes that exit until one of their page frames is found again."""
_FILL = 1
"""Byte that fills the memory; KVM may set its other bits."""

Build = Callable[[], tuple[int, list[int]]]
"""Returns a user address, and the file descriptors of the new VMs and vCPUs."""


class PageFrame:
    """Memory of this process in a given page frame, which another process had."""

    def __init__(self, pfn: int) -> None:
        self._base = libc.mmap(None, SEARCH_BYTES, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        libc.madvise(self._base, SEARCH_BYTES, MADV_NOHUGEPAGE)
        self.hva = self._find(pfn)

    def _find(self, pfn: int) -> int:
        """Allocate pages on each processor in turn: a freed frame is soon allocated again on the same processor."""
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
        raise TimeoutError(f"page frame {pfn:#x} was not allocated again")

    def read(self) -> bytes:
        """Contents of the page frame."""
        return ctypes.string_at(self.hva, PAGE_SIZE)

    def close(self) -> None:
        """Unmap the memory."""
        if self._base:
            libc.munmap(self._base, SEARCH_BYTES)
            self._base = 0


class HostOrphanedVms(OrphanedVms):
    """File descriptors of VMs whose process has exited, and its page frame."""

    def __init__(self, build: Build) -> None:
        self._fds: list[int] = []
        for tries_left in reversed(range(TRIES)):
            pfn = self._make(build)
            try:
                self._frame = PageFrame(pfn)
                return
            except TimeoutError:
                self._close_fds()
                if not tries_left:
                    raise

    def _make(self, build: Build) -> int:
        """Fork the process that creates the VMs, and wait for its exit. Returns its page frame number."""
        parent_end, child_end = socket.socketpair()
        with parent_end, child_end:
            pid = os.fork()
            if pid == 0:
                _owner(build, child_end)
            child_end.close()
            try:
                return self._take_over(parent_end)
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                raise
            finally:
                os.waitpid(pid, 0)

    def _take_over(self, parent_end: socket.socket) -> int:
        if not pace.wait(lambda bound: bool(select.select([parent_end], [], [], bound)[0]), _BUILD_SECONDS):
            raise TimeoutError(f"no VM after {_BUILD_SECONDS:.0f} s")
        data, self._fds, _, _ = socket.recv_fds(parent_end, 8, MAX_FDS)
        if not data:
            raise ChildProcessError("the process that creates the VM has failed")
        return int(struct.unpack("<Q", data)[0])

    def written(self, seconds: float) -> list[int]:
        """Wait. Returns the offsets of the bytes in the page frame that have changed."""
        before = self._frame.read()
        time.sleep(seconds)
        after = self._frame.read()
        return [offset for offset in range(PAGE_SIZE) if before[offset] != after[offset]]

    def _close_fds(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def close(self) -> None:
        """Close the VMs, and unmap the memory."""
        self._close_fds()
        self._frame.close()


def _owner(build: Build, child_end: socket.socket) -> None:
    """Create the VMs in the child, send their file descriptors and exit. Never returns."""
    try:
        hva, fds = build()
        with Pagemap() as pagemap:
            pfn = pagemap.entries(hva, PAGE_SIZE)[0] & PFN_MASK
        socket.send_fds(child_end, [struct.pack("<Q", pfn)], fds)
    finally:
        os._exit(0)
