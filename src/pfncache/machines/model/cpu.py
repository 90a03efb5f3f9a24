# SPDX-License-Identifier: GPL-2.0-only
"""A guest program on the model, as a KVM without hardware virtualisation runs it.

Real mode and ring 0 are executed by KVM's emulator; ring 3 runs on the processor, with KVM walking the guest's page
tables for every translation that is not shadowed yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfncache.kernel.locking.srcu import srcu_read_lock
from pfncache.machines.machine import Exit
from pfncache.machines.program import MMIO_GPA, ROLES, TABLES, Program
from pfncache.machines.uapi import PAGE_SIZE

if TYPE_CHECKING:
    from pfncache.machines.model.vm import ModelVcpu

_ENDS = {"hlt": Exit("HLT"), "mmio": Exit("MMIO", MMIO_GPA, True), "spin": Exit("INTR")}


def execute(vcpu: ModelVcpu, program: Program) -> Exit:
    """Run a program to its end."""
    kernel, record = vcpu.vm.machine.kernel, vcpu.record
    kernel.vcpu_enter_guest(record)
    if program.mode == "ring3":
        _native(vcpu, "code")
        for _, role in program.steps:
            _native(vcpu, role)
        if program.end == "mmio":
            _instruction(vcpu, program)
        return _ENDS[program.end]
    for step, role in program.steps:
        _instruction(vcpu, program)
        _emulate(vcpu, step, role)
    _instruction(vcpu, program)
    return _ENDS[program.end]


def _instruction(vcpu: ModelVcpu, program: Program) -> None:
    """The emulator finds out where the instruction is, and reads it."""
    if program.mode != "real":
        _walk(vcpu)
    _emulate(vcpu, "load", "code")


def _native(vcpu: ModelVcpu, role: str) -> None:
    """The processor's access faults once; KVM walks the guest's page tables, and maps the page."""
    _walk(vcpu)
    vcpu.vm.machine.kernel.kvm_vcpu_guest_access(vcpu.record, ROLES[role] * PAGE_SIZE, False)


def _walk(vcpu: ModelVcpu) -> None:
    for table in TABLES:
        vcpu.vm.machine.kernel.kvm_vcpu_walk(vcpu.record, ROLES[table] * PAGE_SIZE)


def _emulate(vcpu: ModelVcpu, step: str, role: str) -> None:
    """An access of the emulator's, instruction fetches included."""
    kernel = vcpu.vm.machine.kernel
    with srcu_read_lock(vcpu.vm.record.srcu):
        if step == "store":
            kernel.emulator_read_write_onepage(vcpu.record, ROLES[role] * PAGE_SIZE)
        else:
            kernel.kvm_fetch_guest_virt(vcpu.record, ROLES[role] * PAGE_SIZE)
