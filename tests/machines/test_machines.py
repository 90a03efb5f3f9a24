# SPDX-License-Identifier: GPL-2.0-only
"""Behaviour that all machines share."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from pfncache.linux.include.uapi import (
    KVM_MSR_ENABLED,
    MADV_DONTNEED,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PROT_NONE,
    PROT_READ,
    PUNCH_HOLE,
    SHARED_GMEM,
    UFFDIO_REGISTER_MODE_MISSING,
    UFFDIO_REGISTER_MODE_WP,
    StealTime,
)
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import GuestExit, Machine, SyscallError

SIZE = 4 * PAGE_SIZE


def test_errors_name_the_call_and_the_errno(machine: Machine) -> None:
    vm = machine.create_vm()
    with pytest.raises(SyscallError, match=r"^KVM_SET_USER_MEMORY_REGION: EINVAL$"):
        vm.set_user_memory_region(0, 0, 0, 0)
    with pytest.raises(SyscallError, match=r"^fallocate: EOPNOTSUPP$") as error:
        vm.create_guest_memfd(SIZE, SHARED_GMEM).fallocate(0, 0, SIZE)
    assert error.value.name == "EOPNOTSUPP"


def test_memory_is_read_and_written_across_pages(machine: Machine) -> None:
    hva = machine.mmap(SIZE)
    machine.write(hva + PAGE_SIZE - 3, b"across")
    assert machine.read(hva + PAGE_SIZE - 4, 8) == b"\0across\0"
    assert machine.present(hva, SIZE) == [True, True, False, False]
    machine.madvise(hva, SIZE, MADV_DONTNEED)
    assert machine.present(hva, SIZE) == [False] * 4


@pytest.mark.parametrize("prot", [PROT_NONE, PROT_READ])
def test_protection(machine: Machine, prot: int) -> None:
    hva = machine.mmap(SIZE)
    machine.write(hva, b"there")
    machine.mprotect(hva, SIZE, prot)
    with pytest.raises(SyscallError, match="write: EFAULT"):
        machine.write(hva, b"x")
    assert machine.touch(hva) is signal.SIGSEGV
    if prot == PROT_READ:
        assert machine.read(hva, 5) == b"there"
    else:
        with pytest.raises(SyscallError, match="read: EFAULT"):
            machine.read(hva, 5)


def test_what_is_not_mapped(machine: Machine) -> None:
    hole = machine.hole(SIZE)
    assert machine.touch(hole) is signal.SIGSEGV
    for call in (lambda: machine.read(hole, 1), lambda: machine.write(hole, b"x"), lambda: machine.pin(hole)):
        with pytest.raises(SyscallError, match="EFAULT"):
            call()
    machine.mmap(PAGE_SIZE, address=hole)
    machine.write(hole, b"now it is")
    assert machine.read(hole, 9) == b"now it is"


def test_mremap_moves_the_page(machine: Machine) -> None:
    hva = machine.mmap(PAGE_SIZE)
    machine.write(hva, b"moved")
    target = machine.mremap(hva, PAGE_SIZE)
    assert machine.read(target, 5) == b"moved"
    assert machine.touch(hva) is signal.SIGSEGV


def test_two_mappings_of_a_memfd_share_pages(machine: Machine) -> None:
    file = machine.memfd(SIZE)
    one, other = machine.mmap(SIZE, file), machine.mmap(2 * PAGE_SIZE, file, PAGE_SIZE)
    machine.write(one + PAGE_SIZE, b"shared")
    assert machine.read(other, 6) == b"shared"
    assert machine.mincore(one, SIZE) == [False, True, False, False]
    file.fallocate(PUNCH_HOLE, PAGE_SIZE, PAGE_SIZE)
    assert machine.read(other, 6) == bytes(6)


def test_pin_keeps_the_page(machine: Machine) -> None:
    hva = machine.mmap(PAGE_SIZE)
    machine.write(hva, b"old")
    pin = machine.pin(hva)
    machine.madvise(hva, PAGE_SIZE, MADV_DONTNEED)
    machine.write(hva, b"new")
    assert (pin.read(0, 3), machine.read(hva, 3)) == (b"old", b"new")
    pin.close()


def test_guest_reads_and_writes(machine: Machine) -> None:
    vm = machine.create_vm()
    vcpu, hva = vm.create_vcpu(), machine.mmap(SIZE)
    vm.set_user_memory_region(0, 0, SIZE, hva)
    vcpu.store(0x1008, b"by guest")
    assert machine.read(hva + 0x1008, 8) == b"by guest"
    machine.write(hva + 0x2000, b"by hosts")
    assert vcpu.load(0x2000) == b"by hosts"
    assert vcpu.run().reason == "HLT"
    assert vcpu.load(0x2000) == b"by hosts"
    assert vcpu.rdtsc() < vcpu.rdtsc()


def test_guest_access_without_memory(machine: Machine) -> None:
    vcpu = machine.create_vm().create_vcpu()
    for call, write in ((lambda: vcpu.load(0x1000), False), (lambda: vcpu.store(0x1000, bytes(8)), True)):
        with pytest.raises(GuestExit) as leave:
            call()
        assert (leave.value.exit.reason, leave.value.exit.gpa, leave.value.exit.write) == ("MMIO", 0x1000, write)


def test_guest_access_to_a_released_guest_memfd(machine: Machine) -> None:
    vm = machine.create_vm()
    vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(SIZE, SHARED_GMEM)
    vm.bind(0, 0, SIZE, machine.mmap(SIZE), file)
    assert vcpu.load(0) == bytes(8)
    file.close()
    with pytest.raises(GuestExit, match="MEMORY_FAULT at 0x0 shared"):
        vcpu.load(0)


def test_clock(machine: Machine) -> None:
    vm = machine.create_vm()
    vcpu, hva = vm.create_vcpu(), machine.mmap(SIZE)
    vm.set_user_memory_region(0, 0, SIZE, hva)
    assert not machine.clock_at(hva).written
    assert vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED) == 1
    vm.set_clock(5 * 10**9)
    vcpu.run()
    assert machine.clock_at(hva).system_time // 10**9 == 5
    before = vm.get_clock()
    clock, time = vcpu.clock(0)
    assert clock.written
    assert before <= time <= vm.get_clock()


def test_steal_time(machine: Machine) -> None:
    vm = machine.create_vm()
    vcpu, hva = vm.create_vcpu(), machine.mmap(SIZE)
    vm.set_user_memory_region(0, 0, SIZE, hva)
    assert vcpu.set_msr(MSR_KVM_STEAL_TIME, 0x1000 | KVM_MSR_ENABLED) == 1
    versions = []
    for _ in range(3):
        vcpu.run()
        versions.append(StealTime.parse(machine.read(hva + 0x1000, StealTime.SIZE)).version)
    # A host that schedules the vCPU out within KVM_RUN writes once more.
    assert [version % 2 for version in versions] == [0, 0, 0]
    assert all(version >= before + 2 for before, version in zip([0, *versions], versions, strict=False))
    assert versions == [2, 4, 6] or isinstance(machine, KvmMachine)


def test_task_waits_for_a_userfaultfd(machine: Machine) -> None:
    hva = machine.mmap(SIZE)
    vm = machine.create_vm()
    vcpu = vm.create_vcpu()
    vm.set_user_memory_region(0, 0, SIZE, hva)
    fault = machine.userfaultfd(hva, SIZE, UFFDIO_REGISTER_MODE_MISSING)
    task = machine.start(lambda: vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, 0x2000 | KVM_MSR_ENABLED))
    assert fault.wait() == hva + 0x2000
    assert task.blocked()
    fault.resolve(hva + 0x2000)
    assert task.result() == 1
    with pytest.raises(TimeoutError):
        fault.wait(0.01)


def test_userfaultfd_refuses_guest_memfd(machine: Machine) -> None:
    vm = machine.create_vm()
    hva = machine.mmap(SIZE, vm.create_guest_memfd(SIZE, SHARED_GMEM))
    with pytest.raises(SyscallError, match="UFFDIO_REGISTER: EINVAL"):
        machine.userfaultfd(hva, SIZE, UFFDIO_REGISTER_MODE_WP)


def test_task_raises_what_its_function_raises(machine: Machine) -> None:
    def fails() -> None:
        machine.read(machine.hole(PAGE_SIZE), 1)

    with pytest.raises(SyscallError, match="read: EFAULT"):
        machine.start(fails).result()


@pytest.mark.parametrize("what", ["vm", "file", "machine"])
def test_closing_twice_is_harmless(machine: Machine, what: str) -> None:
    vm = machine.create_vm()
    file = vm.create_guest_memfd(SIZE, SHARED_GMEM)
    close: dict[str, Callable[[], None]] = {"vm": vm.close, "file": file.close, "machine": machine.close}
    close[what]()
    close[what]()
