# SPDX-License-Identifier: GPL-2.0-only
"""One side of a differential run: a machine with a VM and four areas of memory, and the operations on them.

Every operation returns what can be compared: "ok", a value, an errno's name, an exit's reason.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pfncache.linux.include.uapi import (
    KVM_MSR_ENABLED,
    KVM_XEN_ATTR_TYPE_LONG_MODE,
    KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    KVM_XEN_MSR_MIN_INDEX,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    RUNSTATE_RUNNABLE,
    RUNSTATE_RUNNING,
    SHARED_GMEM,
    XEN_LONG_MODE,
    XEN_VCPU_INFO_TIME,
    PvClock,
    StealTime,
)
from pfncache.machines.machine import GuestExit, Machine, SyscallError
from pfncache.machines.resource import OpenFile

PAGES = 4
SIZE = PAGES * PAGE_SIZE
AREAS = ("anon", "memfd", "gmem", "hole")
FILES = ("memfd", "gmem", "other")
CLOCK, STEAL, VCPU_INFO, TIME_INFO, RUNSTATE, LAST_CLOCK = 0x400, 0x480, 0x500, 0x600, 0x700, 0xFE0
"""Offsets of structures in a page: the last one of a clock at the page's end. Guest and host write at the start."""
STRIDE = 1000 * 10**9
"""The clock is set to multiples of this, so that the duration of operations does not matter."""
XEN_FLAGS = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND


class Side:
    """A machine with the same state as its twin."""

    def __init__(self, machine: Machine, xen: bool = False) -> None:
        self.machine = machine
        self.vm = machine.create_vm()
        self.vcpu = self.vm.create_vcpu()
        if xen:
            self.vm.xen_hvm_config(XEN_FLAGS, KVM_XEN_MSR_MIN_INDEX)
            self.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_LONG_MODE, 1)
        mapped = machine.capabilities.guest_memfd_flags & SHARED_GMEM == SHARED_GMEM
        self.files: dict[str, OpenFile] = {"memfd": machine.memfd(SIZE)}
        for name in ("gmem", "other"):
            self.files[name] = self.vm.create_guest_memfd(SIZE, SHARED_GMEM) if mapped else machine.memfd(SIZE)
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

    # Memslots

    def slot(self, slot: int, gpa: int, pages: int, area: str, page: int, flags: int) -> None:
        """KVM_SET_USER_MEMORY_REGION within an area: memory behind it differs between the sides."""
        pages = min(pages, PAGES - page)
        self.vm.set_user_memory_region(slot, gpa * PAGE_SIZE, pages * PAGE_SIZE, self.at(area, page), flags)

    def bind(  # noqa: PLR0913 - the ioctl's
        self, slot: int, gpa: int, pages: int, area: str, page: int, file: str, offset: int
    ) -> None:
        """KVM_SET_USER_MEMORY_REGION2 with a guest_memfd or another file."""
        hva, pages = self.at(area, page), min(pages, PAGES - page)
        self.vm.bind(slot, gpa * PAGE_SIZE, pages * PAGE_SIZE, hva, self.files[file], offset * PAGE_SIZE)

    def region(self, slot: int, gpa: int, size: int, area: str, hva: int, flags: int) -> None:
        """KVM_SET_USER_MEMORY_REGION with numbers in bytes: `hva` is an offset in the area, or an address without."""
        self.vm.set_user_memory_region(slot, gpa, size, self.areas.get(area, 0) + hva, flags)

    def region2(  # noqa: PLR0913 - the ioctl's
        self, slot: int, gpa: int, size: int, hva: int, flags: int, file: str, offset: int
    ) -> None:
        """KVM_SET_USER_MEMORY_REGION2 with numbers in bytes, in the anonymous area; no file for a bad descriptor."""
        self.vm.set_user_memory_region2(slot, gpa, size, self.areas["anon"] + hva, flags, self.files.get(file), offset)

    def delete(self, slot: int) -> None:
        """Delete a memslot."""
        self.vm.delete(slot)

    def log(self, slot: int) -> list[int]:
        """KVM_GET_DIRTY_LOG."""
        return sorted(self.vm.get_dirty_log(slot, PAGES))

    # Files and mappings

    def create(self, size: int, flags: int) -> None:
        """KVM_CREATE_GUEST_MEMFD; the file is closed at once."""
        self.vm.create_guest_memfd(size, flags).close()

    def map(self, area: str, page: int, file: str | None, offset: int) -> None:
        """mmap() of one page over the existing mapping."""
        mapped = None if file is None else self.files[file]
        self.machine.mmap(PAGE_SIZE, mapped, offset * PAGE_SIZE, address=self.at(area, page))

    def fallocate(self, file: str, mode: int, offset: int, length: int) -> None:
        """fallocate(), in bytes."""
        self.files[file].fallocate(mode, offset, length)

    def unmap(self, area: str, page: int) -> None:
        """munmap()."""
        self.machine.munmap(self.at(area, page), PAGE_SIZE)

    def protect(self, area: str, page: int, prot: int) -> None:
        """mprotect()."""
        self.machine.mprotect(self.at(area, page), PAGE_SIZE, prot)

    def advise(self, area: str, page: int, advice: int) -> None:
        """madvise()."""
        self.machine.madvise(self.at(area, page), PAGE_SIZE, advice)

    def write(self, area: str, page: int, value: int) -> None:
        """User space writes."""
        self.machine.write(self.at(area, page), value.to_bytes(8, "little"))

    def close(self, file: str) -> None:
        """close()."""
        self.files[file].close()

    # Clock, steal time, and the guest

    def clock(self, gpa: int | None, offset: int = CLOCK) -> int:
        """Enable the clock at an address, or disable it."""
        value = 0 if gpa is None else gpa * PAGE_SIZE + offset | KVM_MSR_ENABLED
        return self.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, value)

    def steal(self, gpa: int | None, offset: int = STEAL) -> int:
        """Enable steal time at an address, or disable it."""
        value = 0 if gpa is None else gpa * PAGE_SIZE + offset | KVM_MSR_ENABLED
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

    def stopped(self) -> None:
        """KVM_KVMCLOCK_CTRL."""
        self.vcpu.kvmclock_ctrl()

    # Xen

    def xen_attr(self, attribute: int, value: int) -> None:
        """KVM_XEN_HVM_SET_ATTR."""
        self.vm.xen_hvm_set_attr(attribute, value)

    def xen_attr_hva(self, attribute: int, area: str, offset: int) -> None:
        """KVM_XEN_HVM_SET_ATTR of a user address."""
        self.vm.xen_hvm_set_attr(attribute, self.areas[area] + offset)

    def xen_vcpu_attr(self, attribute: int, value: int) -> None:
        """KVM_XEN_VCPU_SET_ATTR."""
        self.vcpu.xen_vcpu_set_attr(attribute, value)

    def xen_vcpu_attr_hva(self, attribute: int, area: str, offset: int) -> None:
        """KVM_XEN_VCPU_SET_ATTR of a user address."""
        self.vcpu.xen_vcpu_set_attr(attribute, self.areas[area] + offset)

    def xen_send(self, port: int, vcpu: int, priority: int) -> None:
        """KVM_XEN_HVM_EVTCHN_SEND."""
        self.vm.xen_evtchn_send(port, vcpu, priority)

    def xen_config(self, flags: int, msr: int) -> None:
        """KVM_XEN_HVM_CONFIG."""
        self.vm.xen_hvm_config(flags, msr)

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

    def summary(self, hva: int) -> tuple[object, ...]:
        """The data, clocks in whole strides, whether steal time was ever written, and what Xen's structures say."""
        page = self.machine.read(hva, PAGE_SIZE)
        places = (CLOCK, LAST_CLOCK, VCPU_INFO + XEN_VCPU_INFO_TIME, TIME_INFO)
        clocks = tuple(_strides(PvClock.parse(page[place:])) for place in places)
        steal = StealTime.parse(page[STEAL:])
        events = page[XEN_LONG_MODE.pending : XEN_LONG_MODE.wall_clock]
        pending = tuple(n for n, byte in enumerate(events) if byte)
        wall_clock = page[XEN_LONG_MODE.wall_clock]
        upcall = page[VCPU_INFO], page[VCPU_INFO + 8 : VCPU_INFO + 16]
        # A host that preempts the vCPU's thread after its last entry leaves it runnable instead of running.
        runstate = RUNSTATE_RUNNING if page[RUNSTATE] == RUNSTATE_RUNNABLE else page[RUNSTATE]
        return page[:8], clocks, steal.version != 0, pending, wall_clock, upcall, runstate


def _strides(clock: PvClock) -> int:
    return clock.system_time // STRIDE if clock.written else -1


def _mincore(side: Side, hva: int) -> list[bool]:
    return side.machine.mincore(hva, PAGE_SIZE)
