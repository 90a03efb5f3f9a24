# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: private memory on x86."""

from __future__ import annotations

import pytest

from pfncache.linux.include.uapi import KVM_X86_SNP_VM, KVM_X86_SW_PROTECTED_VM
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
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


def test_rmaps_are_allocated_for_the_first_nested_guest(host: Host) -> None:
    """A memslot of a VM without nested guests has none; a new one is made with them once there are."""
    host.kvm.shadow_root_allocated = host.slot().arch_ready = False
    host.add_slot(8, slot_id=1, hva=HVA + 0x8000)
    assert not host.slot(1).arch_ready
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.mmu_first_shadow_root_alloc(host.kvm) == 0
        assert host.kernel.mmu_first_shadow_root_alloc(host.kvm) == 0
    assert host.kvm.shadow_root_allocated
    assert [host.slot(number).arch_ready for number in (0, 1)] == [True, True]
    assert not host.kvm.slots_arch_lock.held


def test_an_rmp_update_that_fails(make_host: MakeHost) -> None:
    class Failing(Vmlinux):
        rmp_update_may_fail = True

        def rmp_update_fails(self) -> bool:
            return True

    host = make_host(Failing, KVM_X86_SNP_VM)
    assert host.kernel.kvm_arch_gmem_make_private(host.kvm, 0, 0) == -EINVAL
    assert not host.kernel.mem_map[0].rmp_private
    host.kernel.mem_map[0].rmp_private = True  # nothing is left to update
    assert host.kernel.kvm_arch_gmem_make_private(host.kvm, 0, 0) == 0
