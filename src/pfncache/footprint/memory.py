# SPDX-License-Identifier: GPL-2.0-only
"""A guest's memory, laid out so that KVM's own accesses can be told from the guest's and from ours."""

from __future__ import annotations

from pfncache.linux.include.uapi import PAGE_SIZE, SHARED_GMEM
from pfncache.machines.machine import Machine, SyscallError, Vm, WriteTracking


class GuestMemory:
    """Memory from gpa 0 on, in a guest_memfd with two mappings.

    The memslot has one of them, which we never use: a PTE in it was made by KVM. No PTE comes along with another's:
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
        """Record from now on which pages KVM writes, where the kernel can: we have written what we have to write."""
        try:
            self._tracking = self._machine.track_writes(self._slot, self.size)
        except SyscallError:
            self._tracking = None

    def read(self, gpa: int, length: int) -> bytes:
        """Read it without leaving a trace."""
        return self._machine.read(self._ours + gpa, length)

    def write(self, gpa: int, data: bytes) -> None:
        """Write it without leaving a trace."""
        self._machine.write(self._ours + gpa, data)

    def touched(self) -> tuple[int, ...]:
        """The pages that KVM has reached through the user mapping, by number."""
        return _numbers(self._machine.present(self._slot, self.size))

    def written(self) -> tuple[int, ...] | None:
        """Those that it has written; None where that cannot be tracked."""
        return None if self._tracking is None else _numbers(self._tracking.written())

    def populated(self) -> int:
        """How many pages the guest_memfd has."""
        return sum(self._machine.mincore(self._ours, self.size))

    @property
    def pages(self) -> int:
        """How many there are."""
        return self.size // PAGE_SIZE


def _numbers(flags: list[bool]) -> tuple[int, ...]:
    return tuple(number for number, flag in enumerate(flags) if flag)
