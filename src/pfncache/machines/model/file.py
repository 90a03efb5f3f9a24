# SPDX-License-Identifier: GPL-2.0-only
"""Files of the model, and pinned pages."""

from __future__ import annotations

import errno
import os

from pfncache.linux.include.linux.kvm_host import File as FileRecord
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.machine import SyscallError
from pfncache.machines.model.host import ModelHost
from pfncache.machines.resource import OpenFile, Pin


class ModelFile(OpenFile):
    """A file descriptor: struct file, and whether it is open."""

    def __init__(self, host: ModelHost, record: FileRecord, size: int) -> None:
        self.host = host
        self.record = record
        self.name = record.record_name
        self.size = size
        self.is_open = True

    def __repr__(self) -> str:
        cached = [index for index, entry in enumerate(self.record.f_mapping.i_pages) if entry.page is not None]
        pages = ", ".join(f"{index}: pfn {self._pfn(index)}" for index in cached) or "none"
        state = "" if self.is_open else ", closed"
        return f"<{self.name}, {self.size // PAGE_SIZE} pages, in memory: {pages}{state}>"

    def _pfn(self, index: int) -> int:
        page = self.record.f_mapping.i_pages[index].page
        return -1 if page is None else page.pfn

    def _check_open(self, call: str) -> None:
        if not self.is_open:
            raise SyscallError(errno.EBADF, call)

    def fallocate(self, mode: int, offset: int, length: int) -> None:
        """fallocate()."""
        self._check_open("fallocate")
        with self.host.syscall("fallocate") as done:
            done(self.host.kernel.vfs_fallocate(self.record, mode, offset, length))

    def ftruncate(self, size: int) -> None:
        """ftruncate()."""
        self._check_open("ftruncate")
        with self.host.syscall("ftruncate") as done:
            done(self.host.kernel.do_truncate(self.record))
        if size != self.size:
            raise NotImplementedError("the model does not resize memfds")

    def _positioned(self, call: str) -> None:
        self._check_open(call)
        with self.host.syscall(call) as done:
            done(self.host.kernel.ksys_pread64(self.record))

    def pread(self, length: int, offset: int) -> bytes:
        """pread()."""
        self._positioned("pread")
        raise NotImplementedError("the model's memfds are read through a mapping")

    def pwrite(self, data: bytes, offset: int) -> int:
        """pwrite()."""
        self._positioned("pwrite")
        raise NotImplementedError("the model's memfds are written through a mapping")

    def lseek(self, offset: int, whence: int) -> int:
        """lseek()."""
        self._positioned("lseek")
        return offset if whence == os.SEEK_SET else self.size + offset

    def st_blocks(self) -> int:
        """fstat().st_blocks: guest_memfd does not count."""
        if self.record.f_mapping.gmem:
            return 0
        return sum(entry.page is not None for entry in self.record.f_mapping.i_pages) * (PAGE_SIZE // 512)

    def close(self) -> None:
        """close()."""
        if self.is_open:
            self.is_open = False
            if self.record.f_mapping.gmem:
                with self.host.syscall("close"):
                    self.host.kernel.fput(self.record)


class ModelPin(Pin):
    """A page with an additional reference."""

    def __init__(self, host: ModelHost, page: Page) -> None:
        self.host = host
        self.page: Page | None = page
        host.kernel.get_page(page)

    def read(self, offset: int, length: int) -> bytes:
        """Contents of the page."""
        assert self.page is not None
        return bytes(self.page.host_bytes[offset : offset + length])

    def close(self) -> None:
        """Drop the reference."""
        if self.page is not None:
            with self.host.syscall("close"):
                self.host.kernel.put_page(self.page)
            self.page = None
