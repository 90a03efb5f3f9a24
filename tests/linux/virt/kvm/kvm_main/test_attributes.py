# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_TDX_VM
from pfncache.linux.include.uapi import KVM_X86_SW_PROTECTED_VM
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host, MakeHost


@pytest.fixture
def private_host(make_host: MakeHost) -> Host:
    host = make_host(vm_type=KVM_X86_SW_PROTECTED_VM)
    host.add_slot(base_gfn=2)
    return host


def test_errors(host: Host, make_host: MakeHost) -> None:
    assert host.kernel.set_memory_attributes(host.kvm, 0, 1, True) == -EINVAL  # no private memory
    assert host.kernel.set_memory_attributes(host.kvm, 0, 1, False) == 0  # no attribute is one of all VMs
    private = make_host(vm_type=KVM_X86_SW_PROTECTED_VM)
    assert private.kernel.set_memory_attributes(private.kvm, 1, 1, True) == -EINVAL


def test_conversion_zaps_and_leaves_caches(private_host: Host) -> None:
    host, kernel, kvm = private_host, private_host.kernel, private_host.kvm
    assert kernel.run_guest_access(host.vcpu, 0x3000, False) == 0
    with srcu_read_lock(kvm.srcu):
        kernel.kvm_gpc_activate(host.gpc, 0x3000, 8)
    assert kernel.set_memory_attributes(kvm, 1, 5, True) == 0
    assert [kernel.kvm_mem_is_private(kvm, gfn) for gfn in range(6)] == [False, True, True, True, True, False]
    assert (kvm.sptes[3].pfn, host.gpc.valid) == (-1, True)
    assert (kvm.mmu_invalidate_range_start, kvm.mmu_invalidate_range_end) == (2, 5)  # cut to the slot
    assert (kvm.mmu_invalidate_seq, kvm.mmu_invalidate_in_progress) == (1, 0)
    assert (kvm.gpc_invalidate_seq, kvm.mn_active_invalidate_count, kvm.slots_lock.held) == (0, 0, False)


def test_nothing_to_change_invalidates_nothing(private_host: Host) -> None:
    kernel, kvm = private_host.kernel, private_host.kvm
    assert kernel.set_memory_attributes(kvm, 0, 8, False) == 0
    assert kvm.mmu_invalidate_seq == 0


def test_outside_slots_mmu_lock_is_left_alone(private_host: Host) -> None:
    kernel, kvm = private_host.kernel, private_host.kvm
    kvm.mmu_lock.writer = True  # taking it would block
    assert kernel.set_memory_attributes(kvm, 6, 8, True) == 0
    assert (kernel.kvm_mem_is_private(kvm, 7), kvm.mmu_invalidate_seq) == (True, 0)


def test_accessors_do_not_ask_for_attributes(private_host: Host) -> None:
    kernel, kvm = private_host.kernel, private_host.kvm
    kernel.set_memory_attributes(kvm, 2, 3, True)
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_page(kvm, 2, b"x", 0) == 0
    assert private_host.page(HVA).host_bytes[:1] == b"x"


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("vm_type", [KVM_X86_SW_PROTECTED_VM, KVM_X86_TDX_VM])
def test_conversion_of_a_vm_with_two_roots_zaps_the_old_kind_alone(
    make_host: MakeHost, vm_type: int, private: bool
) -> None:
    host = make_host(vm_type=vm_type)
    host.add_slot()
    host.kvm.mem_attr_array[0].private = not private
    for kind in (False, True):
        host.kvm.sptes[0].pfn = -1
        host.kernel.set_spte(host.kvm, 0, 0, kind)
        host.kernel.set_memory_attributes(host.kvm, 0, 1, private)
        assert (host.kvm.sptes[0].pfn == -1) == (kind != private or vm_type != KVM_X86_TDX_VM)
        host.kvm.mem_attr_array[0].private = not private
