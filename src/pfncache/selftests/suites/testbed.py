# SPDX-License-Identifier: GPL-2.0-only
"""The setup of most tests: a VM with one vCPU and eight pages of guest memory of some kind, and a clock in it."""

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
from pfncache.machines.machine import GuestExit, Machine, Vcpu, Vm
from pfncache.machines.resource import OpenFile, Pin
from pfncache.selftests.selftest import Need, check, equal, guest_memfd

PAGES = 8
SIZE = PAGES * PAGE_SIZE
SECOND = 10**9
CLOCK = 5 * PAGE_SIZE + 0x40
"""Guest physical address of the clock: not at the start of a page, so that the offset is tested too."""
CLOCK_PAGE = CLOCK // PAGE_SIZE * PAGE_SIZE
STEAL = 6 * PAGE_SIZE
SLOT = 0
SETTLE = 0.15
"""Seconds until the update that KVM defers when a clock is set up (kvmclock_update_work) has been requested."""


@dataclass
class Testbed:
    """A VM, and access to its memory from user space."""

    machine: Machine
    vm: Vm
    vcpu: Vcpu
    hva: int
    """The slot's user address."""
    alias: int | None = None
    """Another mapping of the same memory, if there is one."""
    file: OpenFile | None = None

    @property
    def page(self) -> int:
        """The user address of the clock's page."""
        return self.hva + CLOCK_PAGE

    @property
    def gmem(self) -> OpenFile:
        """The file behind the memory."""
        assert self.file is not None
        return self.file

    def enable_clock(self, gpa: int = CLOCK) -> None:
        """Write the MSR that enables kvm-clock."""
        equal("KVM_SET_MSRS", self.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, gpa | KVM_MSR_ENABLED), 1)

    def enable_steal_time(self) -> None:
        """Write the MSR that enables steal time."""
        equal("KVM_SET_MSRS", self.vcpu.set_msr(MSR_KVM_STEAL_TIME, STEAL | KVM_MSR_ENABLED), 1)

    def update(self, seconds: int) -> None:
        """Set the VM's clock, and run the vCPU so that KVM writes it."""
        self.vm.set_clock(seconds * SECOND)
        equal("KVM_RUN", self.vcpu.run().reason, "HLT")

    def clock_seconds(self, hva: int) -> int:
        """Full seconds of the clock at a user address; -1 if it was never written."""
        return seconds_of(self.machine.clock_at(hva))

    def seen(self) -> int:
        """Full seconds of the clock in the guest's memory, read through the alias if there is one."""
        return self.clock_seconds((self.alias if self.alias is not None else self.hva) + CLOCK)

    def guest_clock(self) -> PvClock | None:
        """The clock that the guest reads; None if it was never written."""
        words = [self.vcpu.load(CLOCK + offset) for offset in range(0, PvClock.SIZE, 8)]
        clock = PvClock.parse(b"".join(words))
        return clock if clock.written else None

    def guest_steal_version(self) -> int:
        """Version of the steal time that the guest reads."""
        return int.from_bytes(self.vcpu.load(STEAL + 8)[:4], "little")

    def steal(self, hva: int) -> StealTime:
        """The steal time at a user address."""
        return StealTime.parse(self.machine.read(hva, StealTime.SIZE))

    def pin(self) -> OldPage:
        """Pin the clock's page, to find out later whether KVM has written to it."""
        return OldPage(self.machine.pin(self.page))


def seconds_of(clock: PvClock) -> int:
    """Full seconds of a clock; -1 if it was never written."""
    return clock.system_time // SECOND if clock.written else -1


class OldPage:
    """A pinned page that is not, or soon will not be, the guest's."""

    def __init__(self, pin: Pin) -> None:
        self._pin = pin

    def seconds(self) -> int:
        """Full seconds of the clock in it."""
        return seconds_of(PvClock.parse(self._pin.read(CLOCK % PAGE_SIZE, PvClock.SIZE)))

    def untouched_since(self, seconds: int) -> None:
        """Fail if KVM has written to it."""
        check(self.seconds() == seconds, "KVM has written to a page that is no longer the guest's")


Build = Callable[[Machine], Testbed]


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


def anon(machine: Machine) -> Testbed:
    """Anonymous memory."""
    vm, vcpu = _begin(machine)
    hva = machine.mmap(SIZE)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    return Testbed(machine, vm, vcpu, hva)


def memfd(machine: Machine) -> Testbed:
    """A memfd, mapped twice."""
    vm, vcpu = _begin(machine)
    file = machine.memfd(SIZE)
    hva = machine.mmap(SIZE, file)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    return Testbed(machine, vm, vcpu, hva, machine.mmap(SIZE, file), file)


def gmem(machine: Machine, flags: int = SHARED_GMEM) -> Testbed:
    """A guest_memfd at its own mapping."""
    vm, vcpu = _begin(machine)
    file = vm.create_guest_memfd(SIZE, flags)
    hva = machine.mmap(SIZE, file)
    vm.bind(SLOT, 0, SIZE, hva, file)
    return Testbed(machine, vm, vcpu, hva, machine.mmap(SIZE, file), file)


def gmem_elsewhere(machine: Machine, flags: int) -> Testbed:
    """A guest_memfd whose slot has other, anonymous memory at its user address."""
    vm, vcpu = _begin(machine)
    file = vm.create_guest_memfd(SIZE, flags)
    hva = machine.mmap(SIZE)
    vm.bind(SLOT, 0, SIZE, hva, file)
    return Testbed(machine, vm, vcpu, hva, None, file)


def gmem_unmapped(machine: Machine, flags: int = SHARED_GMEM, at_zero: bool = False) -> Testbed:
    """A guest_memfd whose slot has nothing at its user address. What can be mapped, is mapped elsewhere."""
    vm, vcpu = _begin(machine)
    file = vm.create_guest_memfd(SIZE, flags)
    hva = 0 if at_zero else machine.hole(SIZE)
    vm.bind(SLOT, 0, SIZE, hva, file)
    alias = machine.mmap(SIZE, file) if flags == SHARED_GMEM else None
    return Testbed(machine, vm, vcpu, hva, alias, file)


def read_only_mapping(machine: Machine) -> Testbed:
    """Anonymous memory that is mapped PROT_READ."""
    vm, vcpu = _begin(machine)
    hva = machine.mmap(SIZE, prot=PROT_READ)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    return Testbed(machine, vm, vcpu, hva)


def read_only_slot(machine: Machine) -> Testbed:
    """Anonymous memory in a KVM_MEM_READONLY slot."""
    vm, vcpu = _begin(machine)
    hva = machine.mmap(SIZE)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva, KVM_MEM_READONLY)
    return Testbed(machine, vm, vcpu, hva)


def gmem_as_plain_memory(machine: Machine, foreign: bool) -> Testbed:
    """A guest_memfd's mapping in a slot that has no guest_memfd."""
    vm, vcpu = _begin(machine)
    owner = machine.create_vm() if foreign else vm
    file = owner.create_guest_memfd(SIZE, SHARED_GMEM)
    hva = machine.mmap(SIZE, file)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    return Testbed(machine, vm, vcpu, hva, machine.mmap(SIZE, file), file)


ANON = Backing("anon", "anonymous memory", anon)
MEMFD = Backing("memfd", "a memfd", memfd)
GMEM = Backing("gmem", "guest_memfd at its own mapping", gmem, (guest_memfd(SHARED_GMEM),))
MAPPED = (ANON, MEMFD, GMEM)
"""Memory that is mapped at the slot's user address."""


def exit_of(call: Callable[[], object]) -> str:
    """Reason of the exit that stopped the guest; "none" if there was none."""
    try:
        call()
    except GuestExit as leave:
        return leave.exit.reason
    return "none"
