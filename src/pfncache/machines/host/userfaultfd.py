# SPDX-License-Identifier: GPL-2.0-only
"""userfaultfd: faults on a registered range, the kernel's included, wait for user space."""

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
from pfncache.machines.host import libc, pace
from pfncache.machines.host.libc import ioctl
from pfncache.machines.host.pagemap import PRESENT, UFFD_WP_BIT, Pagemap
from pfncache.machines.host.structs import UffdioApi, UffdioRange, UffdioRegister, UffdioWriteprotect, UffdioZeropage
from pfncache.machines.machine import SyscallError
from pfncache.machines.resource import Userfaultfd, WriteTracking

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
    """Open a userfaultfd with these features. Returns the file descriptor, and all features of the kernel."""
    fd = libc.userfaultfd(os.O_CLOEXEC | os.O_NONBLOCK)
    api = UffdioApi(UFFD_API, features)
    try:
        ioctl(fd, "UFFDIO_API", api)
    except SyscallError:
        os.close(fd)
        raise
    return fd, int(api.features)


def supported_modes() -> int:
    """The UFFDIO_REGISTER_MODE_* that this host supports; 0 without permission."""
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
        """Page address of the next fault."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        if not pace.wait(lambda bound: bool(poll.poll(bound * 1000)), seconds):
            raise TimeoutError("no page fault")
        event, _, address = _MESSAGE.unpack(os.read(self.fd, _MESSAGE.size))
        if event != UFFD_EVENT_PAGEFAULT:
            raise SyscallError(0, f"userfaultfd event {event:#x}")
        return int(address) & ~(PAGE_SIZE - 1)

    def resolve(self, hva: int) -> None:
        """Resolve the fault, which wakes the tasks that wait."""
        page = UffdioRange(hva, PAGE_SIZE)
        if self.mode & UFFDIO_REGISTER_MODE_WP:
            ioctl(self.fd, "UFFDIO_WRITEPROTECT", UffdioWriteprotect(page, 0))
        elif self.mode & UFFDIO_REGISTER_MODE_MINOR:
            ioctl(self.fd, "UFFDIO_CONTINUE", UffdioZeropage(page))
        else:
            ioctl(self.fd, "UFFDIO_ZEROPAGE", UffdioZeropage(page))

    def wake(self, hva: int) -> None:
        """Wake the tasks that wait."""
        ioctl(self.fd, "UFFDIO_WAKE", UffdioRange(hva, PAGE_SIZE))

    def unregister(self) -> None:
        """Unregister the range."""
        ioctl(self.fd, "UFFDIO_UNREGISTER", self.range)

    def close(self) -> None:
        """Close the file descriptor, which wakes the tasks that wait."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class AsyncWriteTracking(WriteTracking):
    """A userfaultfd without waiting: it only records which pages were written."""

    def __init__(self, pagemap: Pagemap, hva: int, length: int) -> None:
        self._pagemap = pagemap
        self._hva, self._length = hva, length
        self._userfaultfd = HostUserfaultfd(hva, length, UFFDIO_REGISTER_MODE_WP, ASYNC_FEATURES)

    def written(self) -> list[bool]:
        """Return one entry for each page."""
        entries = self._pagemap.entries(self._hva, self._length)
        return [bool(entry & PRESENT) and not entry & UFFD_WP_BIT for entry in entries]

    def close(self) -> None:
        """Stop tracking."""
        self._userfaultfd.close()
