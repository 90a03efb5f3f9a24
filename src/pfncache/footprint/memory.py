# SPDX-License-Identifier: GPL-2.0-only
"""A guest's memory with two mappings, by which KVM's own accesses are distinguished from the guest's and the VMM's."""

from __future__ import annotations

from pfncache.linux.include.uapi import PAGE_SIZE, SHARED_GMEM
from pfncache.machines.machine import Machine, SyscallError, Vm
from pfncache.machines.resource import WriteTracking


class GuestMemory:
    """Memory from gpa 0 on, in a guest_memfd with two mappings.

    The memslot has one of them, which the VMM does not use, so that each PTE in it is due to KVM, one access each:
    guest_memfd's mappings have no fault-around (its vm_ops have no map_pages), and its folios are single pages.
    """

    def __init__(self, machine: Machine, vm: Vm, size: int) -> None:
        self.size = size
        self._machine = machine
        self._file = vm.create_guest_memfd(size, SHARED_GMEM)
        self._slot, self._ours = machine.mmap(size, self._file), machine.mmap(size, self._file)
        vm.bind(0, 0, size, self._slot, self._file)
        self._tracking: WriteTracking | None = None

    def track(self) -> None:
        """Record from now on which pages KVM writes, if the kernel supports it."""
        try:
            self._tracking = self._machine.track_writes(self._slot, self.size)
        except SyscallError:
            self._tracking = None

    def read(self, gpa: int, length: int) -> bytes:
        """Read memory through the VMM's mapping."""
        return self._machine.read(self._ours + gpa, length)

    def write(self, gpa: int, data: bytes) -> None:
        """Write memory through the VMM's mapping."""
        self._machine.write(self._ours + gpa, data)

    def touched(self) -> tuple[int, ...]:
        """Return the pages that KVM has reached through the slot's mapping, by number."""
        return _numbers(self._machine.present(self._slot, self.size))

    def written(self) -> tuple[int, ...] | None:
        """Return those that KVM has written; None if that cannot be recorded."""
        return None if self._tracking is None else _numbers(self._tracking.written())

    def populated(self) -> int:
        """Return the number of allocated pages of the guest_memfd."""
        return sum(self._machine.mincore(self._ours, self.size))

    @property
    def pages(self) -> int:
        """Number of pages."""
        return self.size // PAGE_SIZE


def _numbers(flags: list[bool]) -> tuple[int, ...]:
    return tuple(number for number, flag in enumerate(flags) if flag)
