# SPDX-License-Identifier: GPL-2.0-only
"""The machine kvm: bounds of calls, and release of all resources."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from pfncache.linux.include.uapi import PAGE_SIZE, SHARED_GMEM, UFFDIO_REGISTER_MODE_MISSING
from pfncache.machines.host import devkvm as module
from pfncache.machines.host.deadline import Deadline
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import SyscallError
from pfncache.machines.program import CpuMode, GuestProgram, ProgramEnd


def _open() -> tuple[list[str], int, int]:
    """Open files, mappings of files that only KVM and its tests have, and threads."""
    links = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    files = sorted(os.readlink(link) for link in links if link.is_symlink())
    maps = Path("/proc/self/maps").read_text().splitlines()
    special = sum(any(word in line for word in ("kvm", "memfd")) for line in maps)
    return files, special, threading.active_count()


def _use(kvm: KvmMachine) -> None:
    vm = kvm.create_vm()
    vcpu, file, memfd = vm.create_vcpu(), vm.create_guest_memfd(PAGE_SIZE, SHARED_GMEM), kvm.memfd(PAGE_SIZE)
    hva = kvm.mmap(PAGE_SIZE, file)
    vm.bind(0, 0, PAGE_SIZE, hva, file)
    kvm.write(hva, b"x")
    kvm.mmap(PAGE_SIZE, memfd)
    kvm.pin(hva)
    kvm.userfaultfd(kvm.mmap(PAGE_SIZE), PAGE_SIZE, UFFDIO_REGISTER_MODE_MISSING)
    kvm.track_writes(kvm.mmap(PAGE_SIZE), PAGE_SIZE)
    assert vcpu.run().reason == "HLT"
    assert kvm.start(vcpu.run).result().reason == "HLT"


@pytest.mark.usefixtures("kvm")
def test_nothing_is_left_open() -> None:
    before = _open()
    with KvmMachine() as machine:
        _use(machine)
        assert _open() != before
    assert _open() == before


@pytest.mark.usefixtures("kvm")
def test_nothing_is_left_open_after_an_error() -> None:
    before = _open()
    with pytest.raises(SyscallError, match="KVM_CREATE_GUEST_MEMFD: EINVAL"), KvmMachine() as machine:
        _use(machine)
        machine.create_vm().create_guest_memfd(1)
    assert _open() == before


@pytest.mark.parametrize("thread", [False, True])
def test_run_is_bounded(kvm: KvmMachine, thread: bool) -> None:
    vm = kvm.create_vm()
    vcpu, hva = vm.create_vcpu(), kvm.mmap(32 * PAGE_SIZE)
    vm.set_user_memory_region(0, 0, 32 * PAGE_SIZE, hva)
    program = GuestProgram(CpuMode.RING3, (), ProgramEnd.SPIN)
    for gpa, data in program.image().items():
        kvm.write(hva + gpa, data)
    started = time.monotonic()
    leave = kvm.start(lambda: vcpu.execute(program)).result() if thread else vcpu.execute(program)
    assert leave.reason == "INTR"
    assert time.monotonic() - started < 1
    assert vcpu.run().reason == "HLT"


def test_first_machine_has_to_be_created_in_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[str] = []

    def make() -> None:
        try:
            Deadline(1)
        except RuntimeError as error:
            raised.append(str(error))

    monkeypatch.setattr("pfncache.machines.host.deadline.signal.getsignal", lambda number: None)
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert raised
    assert "main thread" in raised[0]


@pytest.mark.parametrize(
    ("device", "error"),
    [("/nonexistent", "open /nonexistent: ENOENT"), ("/dev/null", "KVM_GET_VCPU_MMAP_SIZE: ENOTTY")],
)
def test_no_kvm(monkeypatch: pytest.MonkeyPatch, device: str, error: str) -> None:
    before = _open()
    monkeypatch.setattr(module, "DEVICE", device)
    with pytest.raises(SyscallError, match=error):
        KvmMachine()
    assert _open() == before
