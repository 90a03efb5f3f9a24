# SPDX-License-Identifier: GPL-2.0-only
"""userfaultfd, recording of writes and a long invalidation, on the model."""

from __future__ import annotations

import errno

from pfncache.linux.include.uapi import (
    PAGE_SIZE,
    UFFDIO_REGISTER_MODE_MINOR,
    UFFDIO_REGISTER_MODE_MISSING,
    UFFDIO_REGISTER_MODE_WP,
)
from pfncache.machines.machine import SyscallError
from pfncache.machines.model.host import ModelHost
from pfncache.machines.model.layer import Registration
from pfncache.machines.resource import Userfaultfd, Window, WriteTracking


class ModelUserfaultfd(Userfaultfd):
    """A userfaultfd with one range."""

    def __init__(self, host: ModelHost, hva: int, length: int, mode: int) -> None:
        self.host = host
        pages = range(hva // PAGE_SIZE, (hva + length) // PAGE_SIZE)
        for number in pages:
            vma = host.mm.vmas[number]
            mapping = vma.mapping
            if (
                not vma.present
                or (mapping is not None and mapping.gmem)
                or (mode & UFFDIO_REGISTER_MODE_MINOR and mapping is None)
            ):
                raise SyscallError(errno.EINVAL, "UFFDIO_REGISTER")
        self.registration = Registration(set(pages), mode)
        host.kernel.host_registrations.append(self.registration)
        if mode & UFFDIO_REGISTER_MODE_WP:
            for number in pages:
                self._protect(number)

    def _protect(self, number: int) -> None:
        """UFFDIO_WRITEPROTECT of a page: its PTE becomes read-only, and MMU notifiers are called."""
        host, address = self.host, number * PAGE_SIZE
        with host.syscall("UFFDIO_WRITEPROTECT"):
            host.kernel.mmu_notifier_invalidate_range_start(host.mm, address, address + PAGE_SIZE)
            host.mm.ptes[number].writable = False
            host.kernel.mmu_notifier_invalidate_range_end(host.mm, address, address + PAGE_SIZE)
        self.registration.protected.add(number)

    def wait(self, seconds: float = 5.0) -> int:
        """Page address of the next fault."""
        if not self.registration.faults:
            self.host.tasks.run_all()
        if not self.registration.faults:
            raise TimeoutError("no page fault")
        return self.registration.faults.pop(0) * PAGE_SIZE

    def resolve(self, hva: int) -> None:
        """Resolve the fault, and wake the tasks that wait."""
        number = hva // PAGE_SIZE
        vma = self.host.mm.vmas[number]
        mapping = vma.mapping
        if self.registration.mode & UFFDIO_REGISTER_MODE_WP:
            self.registration.protected.discard(number)
        elif (
            self.registration.mode & UFFDIO_REGISTER_MODE_MINOR
            and mapping is not None
            and mapping.i_pages[vma.pgoff].page is None
        ):
            raise SyscallError(errno.EFAULT, "UFFDIO_CONTINUE")
        elif self.host.fault_in(hva) is not None:
            raise SyscallError(errno.ENOENT, "UFFDIO_ZEROPAGE")
        self.wake(hva)

    def wake(self, hva: int) -> None:
        """Wake the tasks that wait."""
        self.registration.waiting.discard(hva // PAGE_SIZE)

    def unregister(self) -> None:
        """Unregister the range; in mode MISSING, the tasks that wait are woken."""
        if self.registration.mode & UFFDIO_REGISTER_MODE_MISSING:
            self.registration.waiting -= self.registration.pages
        if self.registration in self.host.kernel.host_registrations:
            self.host.kernel.host_registrations.remove(self.registration)

    def close(self) -> None:
        """Unregister the range, and wake the tasks that wait."""
        self.unregister()
        self.registration.waiting.clear()


class ModelWriteTracking(WriteTracking):
    """Records which pages of a range are written."""

    def __init__(self, host: ModelHost, hva: int, length: int) -> None:
        self.host = host
        self._pages = range(hva // PAGE_SIZE, (hva + length) // PAGE_SIZE)
        host.kernel.host_written.clear()

    def written(self) -> list[bool]:
        """Return one entry for each page."""
        return [self.host.mm.ptes[number].pfn in self.host.kernel.host_written for number in self._pages]

    def close(self) -> None:
        """Nothing to release."""


class ModelWindow(Window):
    """An invalidation of an unmapped page, which ends when the window is closed."""

    def __init__(self, host: ModelHost) -> None:
        self.host = host
        self._hva = host.hole(PAGE_SIZE)
        self._open = True
        with host.syscall("madvise"):
            host.kernel.mmu_notifier_invalidate_range_start(host.mm, self._hva, self._hva + PAGE_SIZE)

    def is_open(self) -> bool:
        """Whether the invalidation has not ended."""
        return self._open

    def close(self) -> None:
        """End the invalidation."""
        if self._open:
            self._open = False
            with self.host.syscall("madvise"):
                kernel = self.host.kernel
                kernel.mmu_notifier_invalidate_range_end(self.host.mm, self._hva, self._hva + PAGE_SIZE)
