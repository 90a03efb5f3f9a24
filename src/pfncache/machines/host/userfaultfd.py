# SPDX-License-Identifier: GPL-2.0-only
"""userfaultfd: whoever faults on a registered range, the kernel included, waits for us."""

from __future__ import annotations

import os
import select
import struct

from pfncache.linux.include.uapi import (
    PAGE_SIZE,
    UFFD_API,
    UFFD_EVENT_PAGEFAULT,
    UFFD_FEATURE_MINOR_SHMEM,
    UFFD_FEATURE_MISSING_SHMEM,
    UFFD_FEATURE_PAGEFAULT_FLAG_WP,
    UFFD_FEATURE_WP_ASYNC,
    UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
    UFFD_FEATURE_WP_UNPOPULATED,
    UFFDIO_REGISTER_MODE_MINOR,
    UFFDIO_REGISTER_MODE_MISSING,
    UFFDIO_REGISTER_MODE_WP,
    UFFDIO_WRITEPROTECT_MODE_WP,
)
from pfncache.machines.host import libc
from pfncache.machines.host.libc import ioctl
from pfncache.machines.host.pagemap import PRESENT, UFFD_WP_BIT, Pagemap
from pfncache.machines.host.structs import Uffdio, UffdioRange, UffdioRegister, UffdioWriteprotect, UffdioZeropage
from pfncache.machines.machine import SyscallError, Userfaultfd, WriteTracking

FEATURES = {
    UFFDIO_REGISTER_MODE_MISSING: UFFD_FEATURE_MISSING_SHMEM,
    UFFDIO_REGISTER_MODE_WP: UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
    UFFDIO_REGISTER_MODE_MINOR: UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM,
}
"""The features that each mode of registration requires."""
ASYNC_FEATURES = (
    UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED
    | UFFD_FEATURE_WP_ASYNC
)  # fmt: skip
"""Asynchronous write-protection: a write fault is resolved by the kernel, and recorded in the PTE."""
_MESSAGE = struct.Struct("<B7xQQ8x")


def _open(features: int) -> tuple[int, int]:
    """A userfaultfd with these features, and all that the kernel has."""
    fd = libc.userfaultfd(os.O_CLOEXEC | os.O_NONBLOCK)
    api = Uffdio(UFFD_API, features)
    try:
        ioctl(fd, "UFFDIO_API", api)
    except SyscallError:
        os.close(fd)
        raise
    return fd, int(api.features)


def supported_modes() -> int:
    """The UFFD_* modes that this host offers; 0 where we may not have any."""
    try:
        fd, features = _open(0)
    except SyscallError:
        return 0
    os.close(fd)
    return sum(mode for mode, needs in FEATURES.items() if features & needs == needs)


class HostUserfaultfd(Userfaultfd):
    """A userfaultfd with one range."""

    def __init__(self, hva: int, length: int, mode: int, features: int | None = None) -> None:
        self.range = UffdioRange(hva, length)
        self.mode = mode
        wanted = sum(FEATURES[m] for m in FEATURES if m & mode) if features is None else features
        self.fd, _ = _open(wanted)
        try:
            ioctl(self.fd, "UFFDIO_REGISTER", UffdioRegister(self.range, mode))
            if mode & UFFDIO_REGISTER_MODE_WP:
                ioctl(self.fd, "UFFDIO_WRITEPROTECT", UffdioWriteprotect(self.range, UFFDIO_WRITEPROTECT_MODE_WP))
        except SyscallError:
            self.close()
            raise

    def wait(self, seconds: float = 5.0) -> int:
        """The page address of the next fault."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise TimeoutError("nobody has faulted")
        event, _, address = _MESSAGE.unpack(os.read(self.fd, _MESSAGE.size))
        if event != UFFD_EVENT_PAGEFAULT:
            raise SyscallError(0, f"userfaultfd event {event:#x}")
        return int(address) & ~(PAGE_SIZE - 1)

    def resolve(self, hva: int) -> None:
        """Put memory there, and wake whoever waits."""
        page = UffdioRange(hva, PAGE_SIZE)
        if self.mode & UFFDIO_REGISTER_MODE_WP:
            ioctl(self.fd, "UFFDIO_WRITEPROTECT", UffdioWriteprotect(page, 0))
        elif self.mode & UFFDIO_REGISTER_MODE_MINOR:
            ioctl(self.fd, "UFFDIO_CONTINUE", UffdioZeropage(page))
        else:
            ioctl(self.fd, "UFFDIO_ZEROPAGE", UffdioZeropage(page))

    def wake(self, hva: int) -> None:
        """Wake whoever waits."""
        ioctl(self.fd, "UFFDIO_WAKE", UffdioRange(hva, PAGE_SIZE))

    def unregister(self) -> None:
        """No fault in the range waits any more."""
        ioctl(self.fd, "UFFDIO_UNREGISTER", self.range)

    def close(self) -> None:
        """Close the file descriptor, which also wakes whoever waits."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class AsyncWriteTracking(WriteTracking):
    """A userfaultfd that waits for nobody, and only records who has written."""

    def __init__(self, pagemap: Pagemap, hva: int, length: int) -> None:
        self._pagemap = pagemap
        self._hva, self._length = hva, length
        self._userfaultfd = HostUserfaultfd(hva, length, UFFDIO_REGISTER_MODE_WP, ASYNC_FEATURES)

    def written(self) -> list[bool]:
        """One entry for each page."""
        entries = self._pagemap.entries(self._hva, self._length)
        return [bool(entry & PRESENT) and not entry & UFFD_WP_BIT for entry in entries]

    def close(self) -> None:
        """Stop tracking."""
        self._userfaultfd.close()
