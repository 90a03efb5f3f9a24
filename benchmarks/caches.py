# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.caches``: what pfncaches cost on this host's kernel, as ratios.

munmap() of memory that is no guest's, beside a VM with more and more active caches: KVM's MMU notifier looks at each.
And the guest's clock: setting its address anew, which looks the page up, and writing it, which does not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from rich.console import Console
from rich.table import Table

from pfncache.linux.include.uapi import KVM_MSR_ENABLED, MSR_KVM_SYSTEM_TIME_NEW, PAGE_SIZE, SHARED_GMEM
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import Machine, SyscallError, Vcpu, Vm

CALLS, ROUNDS = 400, 15
CACHES = (0, 1, 16, 64, 256)
"""Active caches; one a vCPU."""


def microseconds(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The median time of each call over rounds that take turns, so that what else runs meets all of them alike."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for taken, call in zip(times, calls, strict=True):
            started = time.perf_counter()
            for _ in range(CALLS):
                call()
            taken.append((time.perf_counter() - started) / CALLS)
    return [median(taken) * 1e6 for taken in times]


def guest(machine: Machine, vcpus: int) -> tuple[Vm, list[Vcpu]]:
    """A VM with a page of guest_memfd that user space maps, and a clock in it for each vCPU."""
    vm = machine.create_vm()
    file = vm.create_guest_memfd(PAGE_SIZE, SHARED_GMEM)
    vm.bind(0, 0, PAGE_SIZE, machine.mmap(PAGE_SIZE, file), file)
    made = [vm.create_vcpu() for _ in range(max(vcpus, 1))]
    for vcpu in made[:vcpus]:
        vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED)
    return vm, made


def elsewhere(machine: Machine) -> Callable[[], None]:
    """Return what maps, touches and unmaps a page that is no guest's."""

    def call() -> None:
        hva = machine.mmap(PAGE_SIZE)
        machine.write(hva, b"1")
        machine.munmap(hva, PAGE_SIZE)

    return call


def invalidations(table: Table) -> None:
    """One row for each number of caches; a VM without any is the measure."""
    base = 0.0
    for caches in CACHES:
        with KvmMachine() as machine:
            guest(machine, caches)
            (found,) = microseconds([elsewhere(machine)])
        base = base or found
        table.add_row(f"munmap() beside {caches} caches", f"{found:.2f} us", f"{found / base:.2f}")


def clock(table: Table) -> None:
    """One row for each way in which the guest's clock is met; a run of the guest is the measure."""
    with KvmMachine() as machine:
        vm, (vcpu,) = guest(machine, 1)

        def update() -> None:
            vm.set_clock(1)
            vcpu.run()

        off = partial(vcpu.set_msr, MSR_KVM_SYSTEM_TIME_NEW, 0)
        on = partial(vcpu.set_msr, MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED)
        calls: dict[str, Callable[[], object]] = {
            "KVM_RUN": vcpu.run,
            "KVM_SET_CLOCK, KVM_RUN: the clock is written": update,
            "KVM_SET_MSRS of the clock twice: off, off": lambda: (off(), off()),
            "KVM_SET_MSRS of the clock twice: off, on: its page is looked up": lambda: (off(), on()),
        }
        found = microseconds(list(calls.values()))
        for name, time_of in zip(calls, found, strict=True):
            table.add_row(name, f"{time_of:.2f} us", f"{time_of / found[0]:.2f}")


def main() -> int:
    """Print both tables. Returns 4 without KVM."""
    tables = [Table("what", "time", "ratio", title=title) for title in ("An invalidation", "The guest's clock")]
    try:
        invalidations(tables[0])
        clock(tables[1])
    except SyscallError as error:
        print(f"not measured: {error}")
        return 4
    for table in tables:
        Console(width=100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
