# SPDX-License-Identifier: GPL-2.0-only
"""KVM executes an instruction of the guest itself, through the userspace mapping."""

from __future__ import annotations

from pfncache.kernel.arch.x86.kvm.emulate import X86EMUL_CONTINUE, X86EMUL_IO_NEEDED
from tests.kernel.conftest import HVA, Host

CODE, DATA = 0x1000, 0x2008


def emulate(host: Host, rip: int = CODE, operand: int = DATA) -> int:
    return host.kernel.kvm_vcpu_emulate(host.vcpu, rip, operand)


def touched(host: Host) -> list[bool]:
    return [host.mm.ptes[(HVA >> 12) + n].pfn >= 0 for n in range(4)]


def test_code_is_read_and_the_operand_written(host: Host) -> None:
    host.add_slot(log_dirty=True)
    host.kernel.copy_to_user(HVA + DATA, b"\xff\xff")
    assert emulate(host) == X86EMUL_CONTINUE
    assert touched(host) == [False, True, True, False]
    assert [bit.dirty for bit in host.slot().dirty_bitmap[:4]] == [False, False, True, False]
    assert bytes(host.page(HVA + DATA).host_bytes[8:10]) == b"\0\xff"


def test_code_that_cannot_be_read_touches_no_operand(host: Host) -> None:
    host.add_slot()
    host.kernel.sys_munmap(host.mm, HVA + CODE)
    assert emulate(host) == X86EMUL_IO_NEEDED
    assert touched(host) == [False] * 4


def test_an_operand_in_no_memory_is_mmio(host: Host) -> None:
    host.add_slot()
    assert emulate(host, operand=0x6000) == X86EMUL_IO_NEEDED
    host.kernel.sys_munmap(host.mm, HVA + 0x2000)
    assert emulate(host) == X86EMUL_IO_NEEDED


def test_readonly_slot_runs_code_and_takes_writes_for_mmio(host: Host) -> None:
    host.kernel.kvm_set_memory_region(host.kvm, 0, 0, 4, HVA, readonly=True)
    assert emulate(host) == X86EMUL_IO_NEEDED
    assert touched(host) == [False, True, False, False]
