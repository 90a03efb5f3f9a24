# SPDX-License-Identifier: GPL-2.0-only
"""Guest pages that KVM itself touches: those that it reaches through the user mapping of a guest_memfd.

The guest's own accesses go to the guest_memfd directly, so that a PTE in the slot's mapping is due to KVM. The number
depends on the processor: with nested paging KVM emulates little and walks no page tables.
"""

from __future__ import annotations

from functools import partial

from pfncache.footprint.guests import SMALL
from pfncache.linux.include.uapi import (
    KVM_MSR_ENABLED,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    SHARED_GMEM,
    UFFDIO_REGISTER_MODE_WP,
)
from pfncache.machines.machine import Machine, Vcpu
from pfncache.machines.program import PAGES, ROLES, TABLES, GuestProgram, ProgramEnd
from pfncache.selftests.selftest import Suite, equal, guest_memfd, userfaultfd

SUITE = Suite("footprint")
SIZE = PAGES * PAGE_SIZE
NAMES = {number: role for role, number in ROLES.items()}
NEEDS = (guest_memfd(SHARED_GMEM),)
PROGRAMS = {name: guest.program for name, guest in SMALL.items() if guest.runs and not guest.clocks}
Pages = tuple[str, ...]
EMULATED: dict[str, tuple[Pages, Pages]] = {
    "real-hlt": (("code",), ()),
    "real-store-load": (("code", "data", "data2"), ("data",)),
    "ring0-store": (("code", "data", *TABLES), ("data", *TABLES)),
    "ring3-load": (TABLES, TABLES),
    "ring3-store-mmio": (("code", *TABLES), TABLES),
}
"""The pages that KVM touches, and those of them that it writes, if it walks the guest's page tables itself."""
SKIPPED: dict[str, Pages] = {"real-hlt": ("code",), "real-store-load": ("code",), "ring0-store": ("code", *TABLES)}
"""With nested paging and without next_rip: the pages that KVM reads to skip the instruction of the exit."""


def _expected(machine: Machine, row: str) -> tuple[Pages, Pages]:
    """Return what KVM touches and writes in a program's guest, on this machine's processor."""
    processor = machine.capabilities.processor
    if not processor.nested_paging:
        return EMULATED[row]
    if PROGRAMS[row].end is ProgramEnd.MMIO:
        return ("code", *TABLES), ()
    return (() if processor.next_rip else SKIPPED.get(row, ())), ()


def _guest(machine: Machine, program: GuestProgram) -> tuple[Vcpu, int]:
    """A guest with a program in its guest_memfd, bound at a mapping without PTEs."""
    vm = machine.create_vm()
    vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(SIZE, SHARED_GMEM)
    hva, alias = machine.mmap(SIZE, file), machine.mmap(SIZE, file)
    vm.bind(0, 0, SIZE, hva, file)
    for gpa, data in program.image().items():
        machine.write(alias + gpa, data)
    return vcpu, hva


def _names(pages: list[bool]) -> list[str]:
    return sorted(NAMES.get(number, f"page {number}") for number, page in enumerate(pages) if page)


def _touched(row: str, machine: Machine) -> None:
    program = PROGRAMS[row]
    vcpu, hva = _guest(machine, program)
    vcpu.set_registers(program)
    equal("what KVM_SET_SREGS has touched", _names(machine.present(hva, SIZE)), [])
    leave = vcpu.execute(program)
    equal("how the program ends", leave.reason, program.end.value)
    equal("what KVM has touched", _names(machine.present(hva, SIZE)), sorted(_expected(machine, row)[0]))


def _written(row: str, machine: Machine) -> None:
    program = PROGRAMS[row]
    touched, written = _expected(machine, row)
    vcpu, hva = _guest(machine, program)
    with machine.track_writes(hva, SIZE) as tracking:
        vcpu.execute(program)
        equal("what KVM has touched", _names(machine.present(hva, SIZE)), sorted(touched))
        equal("what KVM has written", _names(tracking.written()), sorted(written))


for _row in PROGRAMS:
    SUITE.add(
        f"touches-{_row}", f"the pages that KVM touches of a guest that runs {_row}", "footprint",
        partial(_touched, _row), needs=NEEDS,
    )  # fmt: skip
    SUITE.add(
        f"writes-{_row}", f"the pages that KVM writes of a guest that runs {_row}", "footprint",
        partial(_written, _row), needs=(*NEEDS, userfaultfd(UFFDIO_REGISTER_MODE_WP, "write-protected")),
    )  # fmt: skip


@SUITE.test("clock-and-steal-time", "footprint", needs=NEEDS)
def clock_and_steal_time(machine: Machine) -> None:
    """kvm-clock and steal time are written through the user mapping, next to the page tables of the guest."""
    program = SMALL["ring3-clocks"].program
    vcpu, hva = _guest(machine, program)
    vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, ROLES["clock"] * PAGE_SIZE | KVM_MSR_ENABLED)
    vcpu.set_msr(MSR_KVM_STEAL_TIME, ROLES["steal"] * PAGE_SIZE | KVM_MSR_ENABLED)
    equal("how the program ends", vcpu.execute(program).reason, "INTR")
    clock = () if machine.capabilities.pfncache_gmem else ("clock",)
    tables = () if machine.capabilities.processor.nested_paging else TABLES
    equal("what KVM has touched", _names(machine.present(hva, SIZE)), sorted((*clock, "steal", *tables)))
