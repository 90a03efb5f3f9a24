# SPDX-License-Identifier: GPL-2.0-only
"""What most tests begin with: a VM with one vCPU and eight pages of guest memory of some kind, and a clock in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pfncache.linux.include.uapi import (
    KVM_MEM_READONLY,
    KVM_MSR_ENABLED,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PROT_READ,
    SHARED_GMEM,
    PvClock,
    StealTime,
)
from pfncache.machines.machine import File, GuestExit, Machine, Pin, Vcpu, Vm
from pfncache.selftests.selftest import Need, check, equal, guest_memfd

PAGES = 8
SIZE = PAGES * PAGE_SIZE
SECOND = 10**9
CLOCK = 5 * PAGE_SIZE + 0x40
"""Where the guest wants its clock: not at the start of the page, so that offsets count."""
CLOCK_PAGE = CLOCK // PAGE_SIZE * PAGE_SIZE
STEAL = 6 * PAGE_SIZE
SLOT = 0
SETTLE = 0.15
"""After this long, the update that KVM puts off when a clock is set up has been asked for."""


@dataclass
class World:
    """A VM, and how to look at its memory from outside."""

    machine: Machine
    vm: Vm
    vcpu: Vcpu
    hva: int
    """The slot's user address."""
    alias: int | None = None
    """Another mapping of the same memory, if there is one."""
    file: File | None = None

    @property
    def page(self) -> int:
        """The user address of the clock's page."""
        return self.hva + CLOCK_PAGE

    @property
    def gmem(self) -> File:
        """The file behind the memory."""
        assert self.file is not None
        return self.file

    def enable_clock(self, gpa: int = CLOCK) -> None:
        """The guest asks for its clock."""
        equal("KVM_SET_MSRS", self.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, gpa | KVM_MSR_ENABLED), 1)

    def enable_steal_time(self) -> None:
        """The guest asks for its steal time."""
        equal("KVM_SET_MSRS", self.vcpu.set_msr(MSR_KVM_STEAL_TIME, STEAL | KVM_MSR_ENABLED), 1)

    def update(self, seconds: int) -> None:
        """Set the VM's clock, and let KVM tell the guest."""
        self.vm.set_clock(seconds * SECOND)
        equal("KVM_RUN", self.vcpu.run().reason, "HLT")

    def clock_seconds(self, hva: int) -> int:
        """The full seconds of the clock at a user address; -1 where none was ever written."""
        clock = self.machine.clock_at(hva)
        return clock.system_time // SECOND if clock.written else -1

    def seen(self) -> int:
        """The full seconds of the clock as whoever looks at the guest's memory finds it."""
        return self.clock_seconds((self.alias if self.alias is not None else self.hva) + CLOCK)

    def guest_clock(self) -> PvClock | None:
        """The clock that the guest itself finds; None where it finds none."""
        words = [self.vcpu.load(CLOCK + offset) for offset in range(0, PvClock.SIZE, 8)]
        clock = PvClock.parse(b"".join(words))
        return clock if clock.written else None

    def guest_steal_version(self) -> int:
        """The version of the steal time that the guest finds."""
        return int.from_bytes(self.vcpu.load(STEAL + 8)[:4], "little")

    def steal(self, hva: int) -> StealTime:
        """The steal time at a user address."""
        return StealTime.parse(self.machine.read(hva, StealTime.SIZE))

    def pin(self) -> OldPage:
        """Keep the clock's page, to see later whether KVM has written to it."""
        return OldPage(self.machine.pin(self.page))


class OldPage:
    """A page that is not the guest's any more, or soon will not be."""

    def __init__(self, pin: Pin) -> None:
        self._pin = pin

    def seconds(self) -> int:
        """The full seconds of the clock in it."""
        clock = PvClock.parse(self._pin.read(CLOCK % PAGE_SIZE, PvClock.SIZE))
        return clock.system_time // SECOND if clock.written else -1

    def untouched_since(self, seconds: int) -> None:
        """Fail if KVM has written to it."""
        check(self.seconds() == seconds, "KVM has written to a page that is not the guest's any more")


Build = Callable[[Machine], World]


@dataclass(frozen=True)
class Backing:
    """A kind of guest memory."""

    name: str
    text: str
    build: Build
    needs: tuple[Need, ...] = ()


def _begin(machine: Machine) -> tuple[Vm, Vcpu]:
    vm = machine.create_vm()
    return vm, vm.create_vcpu()


def anon(machine: Machine) -> World:
    """Anonymous memory."""
    vm, vcpu = _begin(machine)
    hva = machine.mmap(SIZE)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    return World(machine, vm, vcpu, hva)


def memfd(machine: Machine) -> World:
    """A memfd, mapped twice."""
    vm, vcpu = _begin(machine)
    file = machine.memfd(SIZE)
    hva = machine.mmap(SIZE, file)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    return World(machine, vm, vcpu, hva, machine.mmap(SIZE, file), file)


def gmem(machine: Machine, flags: int = SHARED_GMEM) -> World:
    """A guest_memfd at its own mapping."""
    vm, vcpu = _begin(machine)
    file = vm.create_guest_memfd(SIZE, flags)
    hva = machine.mmap(SIZE, file)
    vm.bind(SLOT, 0, SIZE, hva, file)
    return World(machine, vm, vcpu, hva, machine.mmap(SIZE, file), file)


def gmem_elsewhere(machine: Machine, flags: int) -> World:
    """A guest_memfd whose slot has other, anonymous memory at its user address."""
    vm, vcpu = _begin(machine)
    file = vm.create_guest_memfd(SIZE, flags)
    hva = machine.mmap(SIZE)
    vm.bind(SLOT, 0, SIZE, hva, file)
    return World(machine, vm, vcpu, hva, None, file)


def gmem_unmapped(machine: Machine, flags: int = SHARED_GMEM, at_zero: bool = False) -> World:
    """A guest_memfd whose slot has nothing at its user address. What can be mapped, is mapped elsewhere."""
    vm, vcpu = _begin(machine)
    file = vm.create_guest_memfd(SIZE, flags)
    hva = 0 if at_zero else machine.hole(SIZE)
    vm.bind(SLOT, 0, SIZE, hva, file)
    alias = machine.mmap(SIZE, file) if flags == SHARED_GMEM else None
    return World(machine, vm, vcpu, hva, alias, file)


def read_only_mapping(machine: Machine) -> World:
    """Anonymous memory that is mapped PROT_READ."""
    vm, vcpu = _begin(machine)
    hva = machine.mmap(SIZE, prot=PROT_READ)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    return World(machine, vm, vcpu, hva)


def read_only_slot(machine: Machine) -> World:
    """Anonymous memory in a KVM_MEM_READONLY slot."""
    vm, vcpu = _begin(machine)
    hva = machine.mmap(SIZE)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva, KVM_MEM_READONLY)
    return World(machine, vm, vcpu, hva)


def gmem_as_plain_memory(machine: Machine, foreign: bool) -> World:
    """A guest_memfd's mapping in a slot that has no guest_memfd."""
    vm, vcpu = _begin(machine)
    owner = machine.create_vm() if foreign else vm
    file = owner.create_guest_memfd(SIZE, SHARED_GMEM)
    hva = machine.mmap(SIZE, file)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    return World(machine, vm, vcpu, hva, machine.mmap(SIZE, file), file)


ANON = Backing("anon", "anonymous memory", anon)
MEMFD = Backing("memfd", "a memfd", memfd)
GMEM = Backing("gmem", "guest_memfd at its own mapping", gmem, (guest_memfd(SHARED_GMEM),))
MAPPED = (ANON, MEMFD, GMEM)
"""What user space maps where the slot says."""


def exit_of(call: Callable[[], object]) -> str:
    """Why the guest did not get on; "none" if it did."""
    try:
        call()
    except GuestExit as leave:
        return leave.exit.reason
    return "none"
