# SPDX-License-Identifier: GPL-2.0-only
"""Files of this host, and pages that are pinned by a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.host import libc
from pfncache.machines.machine import SyscallError
from pfncache.machines.resource import OpenFile, Pin

T = TypeVar("T")


def _named(call: str, function: Callable[..., T], *args: object) -> T:
    try:
        return function(*args)
    except OSError as error:
        raise SyscallError(error.errno or 0, call) from None


class HostFile(OpenFile):
    """A file descriptor."""

    def __init__(self, name: str, fd: int, size: int) -> None:
        self.name = name
        self.fd = fd
        self.size = size

    def __repr__(self) -> str:
        return f"<{self.name}, {self.size // PAGE_SIZE} pages, {'closed' if self.fd < 0 else f'fd {self.fd}'}>"

    def fallocate(self, mode: int, offset: int, length: int) -> None:
        """fallocate()."""
        libc.fallocate(self.fd, mode, offset, length)

    def ftruncate(self, size: int) -> None:
        """ftruncate()."""
        _named("ftruncate", os.ftruncate, self.fd, size)

    def pread(self, length: int, offset: int) -> bytes:
        """pread()."""
        return _named("pread", os.pread, self.fd, length, offset)

    def pwrite(self, data: bytes, offset: int) -> int:
        """pwrite()."""
        return _named("pwrite", os.pwrite, self.fd, data, offset)

    def lseek(self, offset: int, whence: int) -> int:
        """lseek()."""
        return _named("lseek", os.lseek, self.fd, offset, whence)

    def st_blocks(self) -> int:
        """fstat().st_blocks."""
        return os.fstat(self.fd).st_blocks

    def close(self) -> None:
        """close()."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class PipePin(Pin):
    """A page in a pipe. Reading it duplicates the pipe's contents by tee(), which leaves the page in the pipe."""

    def __init__(self, hva: int) -> None:
        self._page = os.pipe()
        self._copy = os.pipe()
        libc.vmsplice(self._page[1], hva, PAGE_SIZE)

    def read(self, offset: int, length: int) -> bytes:
        """Contents of the page."""
        left = libc.tee(self._page[0], self._copy[1], PAGE_SIZE)
        data = b""
        while left > len(data):
            data += os.read(self._copy[0], left - len(data))
        return data[offset : offset + length]

    def close(self) -> None:
        """Unpin the page."""
        for fd in (*self._page, *self._copy):
            os.close(fd)
        self._page = self._copy = ()  # type: ignore[assignment]
