# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.machines``: cost of a call through a machine, of the bare ioctl, and on the model."""

from __future__ import annotations

import fcntl
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from pfncache.designs.catalogue import mainline_7_3
from pfncache.linux.include.uapi import KVM_MSR_ENABLED, MSR_KVM_SYSTEM_TIME_NEW, PAGE_SIZE, PUNCH_HOLE, SHARED_GMEM
from pfncache.machines.host.libc import ioctl
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.host.structs import NUMBERS, KvmClockData, KvmMsrs
from pfncache.machines.machine import Machine, SyscallError, Vcpu, Vm
from pfncache.machines.model.machine import ModelMachine

CALLS, ROUNDS = 5000, 7
KVM_CAP_NR_MEMSLOTS = 10


def microseconds(call: Callable[[], object], calls: int = CALLS) -> float:
    """The time of a call, the best of several rounds: others use this machine, too."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - started) / calls)
    return best * 1e6


def layer(table: Table, kvm: KvmMachine, vm: Vm, vcpu: Vcpu) -> None:
    """The layer's own cost, for an ioctl that takes a number, one that fills a structure, one that reads one."""
    vm_fd, vcpu_fd = vm.fd, vcpu.fd  # type: ignore[attr-defined]
    check, get, set_msrs = (NUMBERS[n] for n in ("KVM_CHECK_EXTENSION", "KVM_GET_CLOCK", "KVM_SET_MSRS"))
    clock, msr = KvmClockData(), KvmMsrs(1, 0, MSR_KVM_SYSTEM_TIME_NEW, 0, 0)
    rows: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "KVM_CHECK_EXTENSION": (
            lambda: fcntl.ioctl(kvm.fd, check, KVM_CAP_NR_MEMSLOTS),
            lambda: kvm.check_extension(KVM_CAP_NR_MEMSLOTS),
        ),
        "KVM_GET_CLOCK": (lambda: fcntl.ioctl(vm_fd, get, clock, True), vm.get_clock),
        "KVM_SET_MSRS": (
            lambda: fcntl.ioctl(vcpu_fd, set_msrs, msr, True),
            lambda: vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, 0),
        ),
        "KVM_RUN": (lambda: ioctl(vcpu_fd, "KVM_RUN"), vcpu.run),
    }
    for name, (bare, ours) in rows.items():
        raw, wrapped = microseconds(bare), microseconds(ours)
        table.add_row(name, f"{raw:.2f} us", f"{wrapped:.2f} us", f"{wrapped / raw:.2f}")


def both(table: Table, kvm: Machine, model: Machine) -> None:
    """What a test does, on the kernel and on its model."""
    found: dict[str, list[float]] = {}
    for machine in (kvm, model):
        vm = machine.create_vm()
        vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(PAGE_SIZE, SHARED_GMEM)
        vm.bind(0, 0, PAGE_SIZE, machine.mmap(PAGE_SIZE, file), file)
        vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED)

        def update(vm: Vm = vm, vcpu: Vcpu = vcpu) -> None:
            vm.set_clock(1)
            vcpu.run()

        def punched(file: object = file, update: Callable[[], None] = update) -> None:
            file.fallocate(PUNCH_HOLE, 0, PAGE_SIZE)  # type: ignore[attr-defined]
            update()

        for name, call in (
            ("clock update", update),
            ("the same after a hole", punched),
            ("guest load", lambda v=vcpu: v.load(0)),
        ):
            found.setdefault(name, []).append(microseconds(call, CALLS // 20))
    for name, (real, modelled) in found.items():
        table.add_row(name, f"{real:.1f} us", f"{modelled:.1f} us", f"{modelled / real:.2f}")


def main() -> int:
    """One table for the layer, one for the model."""
    try:
        kvm = KvmMachine()
    except SyscallError as error:
        print(f"no usable KVM: {error}")
        return 4
    with kvm, ModelMachine(mainline_7_3) as model:
        vm = kvm.create_vm()
        first = Table("ioctl", "bare", "through the machine", "ratio", title="The layer")
        layer(first, kvm, vm, vm.create_vcpu())
        second = Table("what", "kernel", "model", "ratio", title="Kernel and model")
        both(second, kvm, model)
    for table in (first, second):
        Console(width=100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
