# SPDX-License-Identifier: GPL-2.0-only
"""The processor of a vCPU of the model, for guest programs.

Without nested paging, KVM's emulator executes real mode and ring 0; ring 3 runs on the processor, and KVM walks the
guest's page tables for each translation that is not shadowed yet. With nested paging, KVM handles exits alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.machines.machine import Exit
from pfncache.machines.model.host import ModelHost
from pfncache.machines.program import MMIO_GPA, ROLES, TABLES, CpuMode, GuestInstruction, GuestProgram, ProgramEnd

_ENDS = {
    ProgramEnd.HLT: Exit("HLT"),
    ProgramEnd.MMIO: Exit("MMIO", MMIO_GPA, True),
    ProgramEnd.SPIN: Exit("INTR"),
}


@dataclass(frozen=True)
class Cpu:
    """Runs programs on a vCPU: the host, and the records of the VM and of the vCPU."""

    host: ModelHost
    kvm: Kvm
    vcpu: KvmVcpu

    def execute(self, program: GuestProgram) -> Exit:
        """Run a program to its end."""
        self.host.kernel.vcpu_enter_guest(self.vcpu)
        if self.host.capabilities.processor.nested_paging:
            self._run_natively(program)
        elif program.mode is CpuMode.RING3:
            self._native("code")
            for _, role in program.steps:
                self._native(role)
            if program.end is ProgramEnd.MMIO:
                self._instruction(program, False)
        else:
            for operation, role in program.steps:
                self._instruction(program, False)
                self._emulate(operation, role)
            self._instruction(program, False)
        return _ENDS[program.end]

    def _run_natively(self, program: GuestProgram) -> None:
        """The processor runs all but the last instruction, and has set accessed bits before KVM walks page tables."""
        for role in ("code", *(role for _, role in program.steps)):
            self.host.kernel.run_guest_access(self.vcpu, ROLES[role] * PAGE_SIZE, False)
        skipped = program.end is ProgramEnd.HLT and not self.host.capabilities.processor.next_rip
        if skipped or program.end is ProgramEnd.MMIO:
            self._instruction(program, True)

    def _instruction(self, program: GuestProgram, accessed: bool) -> None:
        """The emulator translates the address of the instruction, and fetches it."""
        if program.mode is not CpuMode.REAL:
            self._walk(accessed)
        self._emulate(GuestInstruction.LOAD, "code")

    def _native(self, role: str) -> None:
        """The processor's first access faults; KVM walks the guest's page tables, and maps the page."""
        self._walk(False)
        self.host.kernel.run_guest_access(self.vcpu, ROLES[role] * PAGE_SIZE, False)

    def _walk(self, accessed: bool) -> None:
        for table in TABLES:
            with mutex(self.vcpu.mutex), vcpu_loaded(self.vcpu), srcu_read_lock(self.kvm.srcu):
                self.host.kernel.walk_addr_generic(self.vcpu, ROLES[table] * PAGE_SIZE, accessed)

    def _emulate(self, operation: GuestInstruction, role: str) -> None:
        """An access or an instruction fetch of the emulator."""
        with mutex(self.vcpu.mutex), vcpu_loaded(self.vcpu), srcu_read_lock(self.kvm.srcu):
            if operation is GuestInstruction.STORE:
                self.host.kernel.emulator_read_write_onepage(self.vcpu, ROLES[role] * PAGE_SIZE, b"\0", True)
            else:
                self.host.kernel.kvm_fetch_guest_virt(self.vcpu, ROLES[role] * PAGE_SIZE)
