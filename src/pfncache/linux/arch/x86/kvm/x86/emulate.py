# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: the emulator's access to guest memory, through the userspace mapping."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gpa
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

X86EMUL_CONTINUE = 0
X86EMUL_UNHANDLEABLE = -1
X86EMUL_IO_NEEDED = -5

PT_PRESENT_MASK = 1
PT_BASE_ADDR_MASK = ((1 << 52) - 1) & ~((1 << 21) - 1)
"""The address in an entry that maps 2 MiB."""


class Emulate(KvmMm):
    """Instruction fetch, operands, and guest virtual addresses.

    x86_emulate_instruction() and kvm_mmu_gva_to_gpa_read() are operations of another vCPU: see vcpu_loaded().
    """

    def x86_emulate_instruction(self, vcpu: KvmVcpu, rip: Gpa, operand: Gpa) -> Errno:
        """Emulate a store after an exit.

        Linux: arch/x86/kvm/x86.c x86_emulate_instruction(), in vcpu_run(), v7.3.4.
        Returns: X86EMUL_CONTINUE or X86EMUL_IO_NEEDED.
        Simplified: in C it returns 1, or 0 to exit to user space.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            return self.emulate_store(vcpu, rip, operand)

    @part_of("x86_emulate_instruction")
    def emulate_store(self, vcpu: KvmVcpu, rip: Gpa, operand: Gpa) -> Errno:
        """Fetch a store, and make it.

        Linux: arch/x86/kvm/x86.c x86_emulate_instruction(), v7.3.4.
        Locks: SRCU; the vCPU is loaded.
        Returns: X86EMUL_CONTINUE or X86EMUL_IO_NEEDED.
        """
        if self.kvm_fetch_guest_virt(vcpu, rip) != X86EMUL_CONTINUE:
            return X86EMUL_IO_NEEDED
        return self.emulator_read_write_onepage(vcpu, operand, b"\0", True)

    def kvm_fetch_guest_virt(self, vcpu: KvmVcpu, rip: Gpa) -> Errno:
        """Fetch the instruction.

        Linux: arch/x86/kvm/x86.c kvm_fetch_guest_virt(), v7.3.4.
        Locks: SRCU.
        Returns: X86EMUL_CONTINUE, or X86EMUL_IO_NEEDED if memory cannot be read.
        Simplified: the address is already translated by the guest's page tables.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if self.kvm_read_guest_page(kvm, self.gpa_to_gfn(rip), self.offset_in_page(rip), 1) != 0:
            return X86EMUL_IO_NEEDED
        return X86EMUL_CONTINUE

    def kvm_read_guest_virt(self, vcpu: KvmVcpu, address: Gpa, length: int) -> Errno:
        """Read guest memory for an exit.

        Linux: arch/x86/kvm/x86.c kvm_read_guest_virt(), kvm_read_guest_virt_helper(), v7.3.4.
        Locks: SRCU; may sleep.
        Returns: 0 or -EFAULT.
        Simplified: the address is already translated, and what is read lies in one page; X86EMUL_IO_NEEDED is -EFAULT.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        return self.kvm_read_guest_page(kvm, self.gpa_to_gfn(address), self.offset_in_page(address), length)

    def emulator_read_write_onepage(self, vcpu: KvmVcpu, gpa: Gpa, data: bytes, write: bool) -> Errno:
        """Read or write an operand; an address that cannot be accessed is treated as MMIO.

        Linux: arch/x86/kvm/x86.c emulator_read_write_onepage(), v7.3.4.
        Locks: SRCU.
        Returns: X86EMUL_CONTINUE or X86EMUL_IO_NEEDED.
        Simplified: the address is already translated; a read is of one byte. For MMIO, C returns X86EMUL_CONTINUE too,
        and has a fragment of MMIO to exit with.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gfn, offset = self.gpa_to_gfn(gpa), self.offset_in_page(gpa)
        ret: Errno = 0
        if write:
            ret = self.kvm_write_guest_page(kvm, gfn, data, offset)
        else:
            ret = self.kvm_read_guest_page(kvm, gfn, offset, 1)
        return X86EMUL_CONTINUE if ret == 0 else X86EMUL_IO_NEEDED

    def emulator_cmpxchg_emulated(self, vcpu: KvmVcpu, gpa: Gpa, data: bytes) -> Errno:
        """Exchange an operand atomically through its user address; the comparison always succeeds.

        Linux: arch/x86/kvm/x86.c emulator_cmpxchg_emulated(), v7.3.4.
        Locks: SRCU.
        Returns: X86EMUL_CONTINUE; X86EMUL_UNHANDLEABLE if the user address faults; X86EMUL_IO_NEEDED.
        Simplified: operands do not cross a cache line.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gfn = self.gpa_to_gfn(gpa)
        slot = self.gfn_to_memslot(kvm, gfn)
        hva = self.gfn_to_hva_memslot(slot, gfn)
        if self.kvm_is_error_hva(hva):
            return self.emulator_read_write_onepage(vcpu, gpa, data, True)
        hva += self.offset_in_page(gpa)
        if not self._try_cmpxchg_user(hva):
            return X86EMUL_UNHANDLEABLE
        self.host_put(hva, data)
        assert slot is not None
        self.mark_page_dirty(kvm, gfn)
        self.note_write(slot, gfn)
        return X86EMUL_CONTINUE

    def kvm_mmu_gva_to_gpa_read(self, vcpu: KvmVcpu, table: Gpa) -> Errno:
        """Translate a guest virtual address after an exit.

        Linux: arch/x86/kvm/x86.c kvm_mmu_gva_to_gpa_read(), in vcpu_run(), v7.3.4.
        Returns: 0 or -EFAULT.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            return self.walk_addr_generic(vcpu, table, False)

    def kvm_arch_vcpu_ioctl_translate(self, vcpu: KvmVcpu, table: Gpa) -> int:
        """Translate an address that the page-table entry at `table` maps, which KVM has not used yet: KVM_TRANSLATE.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl_translate(), kvm_mmu_gva_to_gpa_system(), v7.3.4.
        Returns: the entry's guest physical address, or INVALID_GPA.
        Simplified: the entries of higher levels are in other memory, and valid; this entry is read twice.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            if self.kvm_read_guest_page(kvm, self.gpa_to_gfn(table), self.offset_in_page(table), self.GPTE_SIZE) != 0:
                return INVALID_GPA
            entry = self.guest_entry(kvm, table)
            # An entry that is not present gets no accessed bit.
            if entry & PT_PRESENT_MASK == 0 or self.walk_addr_generic(vcpu, table, False) != 0:
                return INVALID_GPA
            return entry & PT_BASE_ADDR_MASK

    @part_of("kvm_arch_vcpu_ioctl_translate")
    def guest_entry(self, kvm: Kvm, table: Gpa) -> int:
        """Return a page-table entry that was found readable; in the checker, one that is present and maps gfn 0.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl_translate(), v7.3.4.
        """
        if self.host_execution:
            return int.from_bytes(self.host_read_guest(kvm, table, 8), "little")
        return PT_PRESENT_MASK
