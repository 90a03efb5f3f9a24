# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/emulate.c, x86.c: KVM executes an instruction of the guest itself, through the userspace mapping."""

from __future__ import annotations

from pfncache.kernel.include.linux.kvm_host import KvmVcpu
from pfncache.kernel.include.linux.types import Errno, Gpa
from pfncache.kernel.locking.srcu import srcu_read_lock
from pfncache.kernel.virt.kvm.kvm_mm import KvmMm

X86EMUL_CONTINUE = 0
X86EMUL_IO_NEEDED = -5


class Emulate(KvmMm):
    """Instruction fetch and operands."""

    def kvm_vcpu_emulate(self, vcpu: KvmVcpu, rip: Gpa, operand: Gpa) -> Errno:
        """An exit that makes KVM emulate a store.

        Linux: arch/x86/kvm/x86.c x86_emulate_instruction(), v7.3.4.
        Returns: X86EMUL_CONTINUE or X86EMUL_IO_NEEDED.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            if self.kvm_fetch_guest_virt(vcpu, rip) != X86EMUL_CONTINUE:
                return X86EMUL_IO_NEEDED
            return self.emulator_read_write_onepage(vcpu, operand)

    def kvm_fetch_guest_virt(self, vcpu: KvmVcpu, rip: Gpa) -> Errno:
        """Read the instruction.

        Linux: arch/x86/kvm/x86.c kvm_fetch_guest_virt(), v7.3.4.
        Locks: SRCU.
        Returns: X86EMUL_CONTINUE, or X86EMUL_IO_NEEDED where memory cannot be read.
        Simplified: the guest's own translation is done.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if self.kvm_read_guest_page(kvm, self.gpa_to_gfn(rip), self.offset_in_page(rip), 1) != 0:
            return X86EMUL_IO_NEEDED
        return X86EMUL_CONTINUE

    def emulator_read_write_onepage(self, vcpu: KvmVcpu, gpa: Gpa) -> Errno:
        """Write an operand; what cannot be written is taken for MMIO.

        Linux: arch/x86/kvm/x86.c emulator_read_write_onepage(), write_emulate(), v7.3.4.
        Locks: SRCU.
        Returns: X86EMUL_CONTINUE or X86EMUL_IO_NEEDED.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if self.kvm_write_guest_page(kvm, self.gpa_to_gfn(gpa), b"\0", self.offset_in_page(gpa)) != 0:
            return X86EMUL_IO_NEEDED
        return X86EMUL_CONTINUE
