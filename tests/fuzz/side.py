# SPDX-License-Identifier: GPL-2.0-only
"""One side of a differential run: a machine with a VM and four areas of memory, and the operations on them.

Every operation returns what can be compared: "ok", a value, an errno's name, an exit's reason.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pfncache.linux.include.uapi import (
    KVM_MSR_ENABLED,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    SHARED_GMEM,
    PvClock,
    StealTime,
)
from pfncache.machines.machine import GuestExit, Machine, SyscallError
from pfncache.machines.resource import OpenFile

PAGES = 4
SIZE = PAGES * PAGE_SIZE
AREAS = ("anon", "memfd", "gmem", "hole")
FILES = ("memfd", "gmem", "other")
CLOCK, STEAL = 0x800, 0x900
"""Offsets in a page of the clock and the steal time; guest and host write at the start of pages."""
STRIDE = 1000 * 10**9
"""The clock is set to multiples of this, so that the duration of operations does not matter."""


class Side:
    """A machine with the same state as its twin."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.vm = machine.create_vm()
        self.vcpu = self.vm.create_vcpu()
        self.files: dict[str, OpenFile] = {
            "memfd": machine.memfd(SIZE),
            "gmem": self.vm.create_guest_memfd(SIZE, SHARED_GMEM),
            "other": self.vm.create_guest_memfd(SIZE, SHARED_GMEM),
        }
        self.areas = {
            "anon": machine.mmap(SIZE),
            "memfd": machine.mmap(SIZE, self.files["memfd"]),
            "gmem": machine.mmap(SIZE, self.files["gmem"]),
            "hole": machine.hole(SIZE),
        }
        self.seconds = 0

    def at(self, area: str, page: int) -> int:
        """Return the user address of a page."""
        return self.areas[area] + page * PAGE_SIZE

    def do(self, operation: Callable[[Side], object]) -> object:
        """Run an operation. Returns a comparable result."""
        try:
            value = operation(self)
        except SyscallError as error:
            return error.name
        except GuestExit as leave:
            return leave.exit.reason
        return "ok" if value is None else value

    # Operations

    def slot(self, slot: int, gpa: int, pages: int, area: str, page: int, flags: int) -> None:
        """KVM_SET_USER_MEMORY_REGION within an area: memory behind it differs between the sides."""
        pages = min(pages, PAGES - page)
        self.vm.set_user_memory_region(slot, gpa * PAGE_SIZE, pages * PAGE_SIZE, self.at(area, page), flags)

    def bind(self, slot: int, gpa: int, pages: int, area: str, page: int, file: str, offset: int) -> None:
        """KVM_SET_USER_MEMORY_REGION2 with a guest_memfd or another file."""
        hva, pages = self.at(area, page), min(pages, PAGES - page)
        self.vm.bind(slot, gpa * PAGE_SIZE, pages * PAGE_SIZE, hva, self.files[file], offset * PAGE_SIZE)

    def map(self, area: str, page: int, file: str | None, offset: int) -> None:
        """mmap() of one page over the existing mapping."""
        mapped = None if file is None else self.files[file]
        self.machine.mmap(PAGE_SIZE, mapped, offset * PAGE_SIZE, address=self.at(area, page))

    def fallocate(self, file: str, mode: int, page: int, pages: int) -> None:
        """fallocate()."""
        self.files[file].fallocate(mode, page * PAGE_SIZE, pages * PAGE_SIZE)

    def clock(self, gpa: int | None) -> int:
        """Enable the clock at an address, or disable it."""
        value = 0 if gpa is None else gpa * PAGE_SIZE + CLOCK | KVM_MSR_ENABLED
        return self.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, value)

    def steal(self, gpa: int | None) -> int:
        """Enable steal time at an address, or disable it."""
        value = 0 if gpa is None else gpa * PAGE_SIZE + STEAL & ~0x3F | KVM_MSR_ENABLED
        return self.vcpu.set_msr(MSR_KVM_STEAL_TIME, value)

    def tick(self) -> None:
        """KVM_SET_CLOCK, so that the next run updates the clock: a deferred update could come at any time."""
        self.seconds += 1
        self.vm.set_clock(self.seconds * STRIDE)

    def run(self) -> str:
        """KVM_RUN."""
        self.tick()
        return self.vcpu.run().reason

    def load(self, gpa: int) -> bytes:
        """The guest reads."""
        self.tick()
        return self.vcpu.load(gpa * PAGE_SIZE)

    def store(self, gpa: int, value: int) -> None:
        """The guest writes."""
        self.tick()
        self.vcpu.store(gpa * PAGE_SIZE, value.to_bytes(8, "little"))

    def write(self, area: str, page: int, value: int) -> None:
        """User space writes."""
        self.machine.write(self.at(area, page), value.to_bytes(8, "little"))

    def delete(self, slot: int) -> None:
        """Delete a memslot."""
        self.vm.delete(slot)

    def unmap(self, area: str, page: int) -> None:
        """munmap()."""
        self.machine.munmap(self.at(area, page), PAGE_SIZE)

    def protect(self, area: str, page: int, prot: int) -> None:
        """mprotect()."""
        self.machine.mprotect(self.at(area, page), PAGE_SIZE, prot)

    def advise(self, area: str, page: int, advice: int) -> None:
        """madvise()."""
        self.machine.madvise(self.at(area, page), PAGE_SIZE, advice)

    def stopped(self) -> None:
        """KVM_KVMCLOCK_CTRL."""
        self.vcpu.kvmclock_ctrl()

    def log(self, slot: int) -> list[int]:
        """KVM_GET_DIRTY_LOG."""
        return sorted(self.vm.get_dirty_log(slot, PAGES))

    def close(self, file: str) -> None:
        """close()."""
        self.files[file].close()

    # What is compared after each operation

    def presence(self) -> list[tuple[str, list[bool], list[object]]]:
        """PTEs and page cache."""
        found = []
        for area, hva in self.areas.items():
            cached = [self.do(partial(_mincore, hva=hva + page * PAGE_SIZE)) for page in range(PAGES)]
            found.append((area, self.machine.present(hva, SIZE), cached))
        return found

    def contents(self) -> list[object]:
        """Contents of the pages with a PTE, without faulting any in."""
        found: list[object] = []
        for area, hva in self.areas.items():
            for page, present in enumerate(self.machine.present(hva, SIZE)):
                if present:
                    found.append((area, page, self.do(partial(Side.summary, hva=hva + page * PAGE_SIZE))))
        return found

    def summary(self, hva: int) -> tuple[bytes, int, bool]:
        """The data, the clock in whole strides, and whether steal time was ever written."""
        page = self.machine.read(hva, STEAL + StealTime.SIZE)
        clock = PvClock.parse(page[CLOCK:])
        steal = StealTime.parse(page[STEAL & ~0x3F :])
        return page[:8], clock.system_time // STRIDE if clock.written else -1, steal.version != 0


def _mincore(side: Side, hva: int) -> list[bool]:
    return side.machine.mincore(hva, PAGE_SIZE)
