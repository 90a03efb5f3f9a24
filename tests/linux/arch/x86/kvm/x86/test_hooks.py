# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: private memory on x86."""

from __future__ import annotations

import pytest

from pfncache.linux.include.uapi import KVM_X86_SNP_VM, KVM_X86_SW_PROTECTED_VM
from tests.linux.conftest import HVA, Host, MakeHost, reported

GPA = 0x1040
CLOCK = HVA + GPA


def set_msr(host: Host, gpa: int = GPA, enable: bool = True) -> None:
    """Whatever becomes of it, the MSR is set."""
    assert host.kernel.set_msr_system_time(host.vcpu, gpa, enable) == 1


def update(host: Host) -> None:
    host.kernel.run_clock_update(host.vcpu)


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A VM with four pages of memory, which are logged."""
    made = make_host()
    made.add_slot(log_dirty=True)
    return made


@pytest.mark.parametrize(("vm_type", "private"), [(0, False), (KVM_X86_SW_PROTECTED_VM, True), (KVM_X86_SNP_VM, True)])
def test_private_memory_by_type(make_host: MakeHost, vm_type: int, private: bool) -> None:
    host = make_host(vm_type=vm_type)
    assert host.kernel.kvm_arch_has_private_mem(host.kvm) is private


@pytest.mark.parametrize(
    ("vm_type", "attribute", "assigned"),
    [(KVM_X86_SNP_VM, True, True), (KVM_X86_SNP_VM, False, True), (KVM_X86_SW_PROTECTED_VM, True, False)],
)
def test_a_private_page_is_the_guests_until_it_is_reclaimed(
    make_host: MakeHost, vm_type: int, attribute: bool, assigned: bool
) -> None:
    host = make_host(vm_type=vm_type)
    host.kvm.mem_attr_array[2].private = attribute
    assert host.kernel.kvm_arch_gmem_make_private(host.kvm, 2, 5) == 0
    assert host.kernel.mem_map[5].rmp_private is assigned
    host.kernel.kvm_arch_gmem_reclaim(5)
    assert not host.kernel.mem_map[5].rmp_private


def test_private_memory_under_the_clock_is_fatal(make_host: MakeHost) -> None:
    """pfncache asks neither attributes nor the RMP: what user space maps there is written."""
    host = make_host(vm_type=KVM_X86_SNP_VM)
    host.add_slot()
    set_msr(host)
    host.page(CLOCK).rmp_private = True
    with reported("private-access"):
        update(host)
