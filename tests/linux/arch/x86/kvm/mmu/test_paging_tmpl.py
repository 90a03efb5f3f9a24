# SPDX-License-Identifier: GPL-2.0-only
"""KVM walks the guest's page tables through the userspace mapping."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.linux.include.uapi.linux.errno import EFAULT
from tests.linux.conftest import HVA, Host


def walk(host: Host, gpa: int) -> int:
    return host.kernel.kvm_mmu_gva_to_gpa_read(host.vcpu, gpa)


def dirty(host: Host) -> list[bool]:
    return [bit.dirty for bit in host.dirty_bits()[:4]]


def test_walk_sets_the_accessed_bit_and_marks_the_page(host: Host) -> None:
    host.add_slot(base_gfn=2, log_dirty=True)
    assert walk(host, 0x3008) == 0
    assert dirty(host) == [False, True, False, False]
    assert host.mm.ptes[(HVA >> 12) + 1].pfn >= 0  # faulted in


@pytest.mark.parametrize("gpa", [0x1000, 0x6000])
def test_table_in_no_slot(host: Host, gpa: int) -> None:
    host.add_slot(base_gfn=2)
    assert walk(host, gpa) == -EFAULT


def test_table_that_is_not_mapped(host: Host) -> None:
    host.add_slot(log_dirty=True)
    host.kernel.vm_munmap(host.mm, HVA)
    assert walk(host, 0) == -EFAULT
    assert dirty(host) == [False] * 4


def test_table_that_cannot_be_written(host: Host) -> None:
    """A slot that may be written, but not its memory: the accessed bit cannot be set."""
    host.add_slot(log_dirty=True)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert walk(host, 0) == -EFAULT
    assert dirty(host) == [False] * 4


def test_table_in_a_readonly_slot_is_walked_without_the_accessed_bit(host: Host) -> None:
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, readonly=True) == 0
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert walk(host, 0) == 0


def test_accessed_bit_is_set_in_the_entry(host: Host) -> None:
    host.add_slot()
    host.kernel.copy_to_user(HVA + 0x10, bytes([0x87]))
    assert walk(host, 0x10) == 0
    assert host.page(HVA).host_bytes[0x10] == 0xA7


def test_translation(host: Host) -> None:
    host.add_slot()
    host.kernel.copy_to_user(HVA + 8, (0x40000087).to_bytes(8, "little"))
    assert host.kernel.kvm_arch_vcpu_ioctl_translate(host.vcpu, 8) == 0x40000000
    assert host.kernel.kvm_arch_vcpu_ioctl_translate(host.vcpu, 16) == INVALID_GPA  # not present
    assert bytes(host.page(HVA).host_bytes[8:24]) == (0x400000A7).to_bytes(8, "little") + bytes(8)
    assert host.kernel.kvm_arch_vcpu_ioctl_translate(host.vcpu, 0x6000) == INVALID_GPA  # no slot
