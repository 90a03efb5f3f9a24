# SPDX-License-Identifier: GPL-2.0-only
"""The processor of a vCPU of the model, for guest programs: as a KVM without hardware virtualisation runs them.

Real mode and ring 0 are executed by KVM's emulator; ring 3 runs on the processor, with KVM walking the guest's page
tables for every translation that is not shadowed yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.kernel.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.kernel.locking.srcu import srcu_read_lock
from pfncache.machines.machine import Exit
from pfncache.machines.model.host import ModelHost
from pfncache.machines.program import MMIO_GPA, ROLES, TABLES, Program
from pfncache.machines.uapi import PAGE_SIZE

_ENDS = {"hlt": Exit("HLT"), "mmio": Exit("MMIO", MMIO_GPA, True), "spin": Exit("INTR")}


@dataclass(frozen=True)
class Cpu:
    """What runs a vCPU's programs: the host, and the records of the VM and of the vCPU."""

    host: ModelHost
    kvm: Kvm
    vcpu: KvmVcpu

    def execute(self, program: Program) -> Exit:
        """Run a program to its end."""
        self.host.kernel.vcpu_enter_guest(self.vcpu)
        if program.mode == "ring3":
            self._native("code")
            for _, role in program.steps:
                self._native(role)
            if program.end == "mmio":
                self._instruction(program)
            return _ENDS[program.end]
        for step, role in program.steps:
            self._instruction(program)
            self._emulate(step, role)
        self._instruction(program)
        return _ENDS[program.end]

    def _instruction(self, program: Program) -> None:
        """The emulator finds out where the instruction is, and reads it."""
        if program.mode != "real":
            self._walk()
        self._emulate("load", "code")

    def _native(self, role: str) -> None:
        """The processor's access faults once; KVM walks the guest's page tables, and maps the page."""
        self._walk()
        self.host.kernel.kvm_vcpu_guest_access(self.vcpu, ROLES[role] * PAGE_SIZE, False)

    def _walk(self) -> None:
        for table in TABLES:
            self.host.kernel.kvm_vcpu_walk(self.vcpu, ROLES[table] * PAGE_SIZE)

    def _emulate(self, step: str, role: str) -> None:
        """An access of the emulator's, instruction fetches included."""
        with srcu_read_lock(self.kvm.srcu):
            if step == "store":
                self.host.kernel.emulator_read_write_onepage(self.vcpu, ROLES[role] * PAGE_SIZE)
            else:
                self.host.kernel.kvm_fetch_guest_virt(self.vcpu, ROLES[role] * PAGE_SIZE)
