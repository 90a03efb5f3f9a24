# SPDX-License-Identifier: GPL-2.0-only
"""KVM executes an instruction of the guest itself, through the userspace mapping."""

from __future__ import annotations

from pfncache.linux.arch.x86.kvm.x86.emulate import X86EMUL_CONTINUE, X86EMUL_IO_NEEDED, X86EMUL_UNHANDLEABLE
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host

CODE, DATA = 0x1000, 0x2008


def emulate(host: Host, rip: int = CODE, operand: int = DATA) -> int:
    return host.kernel.x86_emulate_instruction(host.vcpu, rip, operand)


def touched(host: Host) -> list[bool]:
    return [host.mm.ptes[(HVA >> 12) + n].pfn >= 0 for n in range(4)]


def test_code_is_read_and_the_operand_written(host: Host) -> None:
    host.add_slot(log_dirty=True)
    host.kernel.copy_to_user(HVA + DATA, b"\xff\xff")
    assert emulate(host) == X86EMUL_CONTINUE
    assert touched(host) == [False, True, True, False]
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, False, True, False]
    assert bytes(host.page(HVA + DATA).host_bytes[8:10]) == b"\0\xff"


def test_code_that_cannot_be_read_touches_no_operand(host: Host) -> None:
    host.add_slot()
    host.kernel.vm_munmap(host.mm, HVA + CODE)
    assert emulate(host) == X86EMUL_IO_NEEDED
    assert touched(host) == [False] * 4


def test_an_operand_in_no_memory_is_mmio(host: Host) -> None:
    host.add_slot()
    assert emulate(host, operand=0x6000) == X86EMUL_IO_NEEDED
    host.kernel.vm_munmap(host.mm, HVA + 0x2000)
    assert emulate(host) == X86EMUL_IO_NEEDED


def test_readonly_slot_runs_code_and_takes_writes_for_mmio(host: Host) -> None:
    host.kernel.set_memory_region(host.kvm, 0, 0, 4, HVA, readonly=True)
    assert emulate(host) == X86EMUL_IO_NEEDED
    assert touched(host) == [False, True, False, False]


def operand(host: Host, gpa: int, data: bytes, write: bool) -> int:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.emulator_read_write_onepage(host.vcpu, gpa, data, write)


def exchange(host: Host, gpa: int) -> int:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.emulator_cmpxchg_emulated(host.vcpu, gpa, b"ab")


def test_operand_is_read(host: Host) -> None:
    host.add_slot(log_dirty=True)
    host.kernel.copy_to_user(HVA + DATA, b"operand!")
    assert operand(host, DATA, b"", False) == X86EMUL_CONTINUE
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.host_read_guest(host.kvm, DATA, 8) == b"operand!"
    assert not any(bit.dirty for bit in host.dirty_bits())
    assert operand(host, 0x6000, b"", False) == X86EMUL_IO_NEEDED


def test_locked_exchange_goes_to_the_user_address(host: Host) -> None:
    host.add_slot(log_dirty=True)
    assert exchange(host, DATA) == X86EMUL_CONTINUE
    assert bytes(host.page(HVA + DATA).host_bytes[8:11]) == b"ab\0"
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, False, True, False]


def test_locked_exchange_without_memory(host: Host) -> None:
    """Without a slot it is a plain write, which is MMIO; with a slot but no memory, it cannot be emulated."""
    host.add_slot()
    assert exchange(host, 0x6000) == X86EMUL_IO_NEEDED
    host.kernel.vm_munmap(host.mm, HVA + 0x2000)
    assert exchange(host, DATA) == X86EMUL_UNHANDLEABLE
