# SPDX-License-Identifier: GPL-2.0-only
"""A guest page is pinned and mapped through its user address."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_RO_FAULT, KVM_PFN_NOSLOT
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host


def vcpu_map(host: Host, gfn: int) -> tuple[int, int, int]:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.kvm_vcpu_map(host.vcpu, gfn)


def test_page_is_pinned_mapped_and_marked(host: Host) -> None:
    host.add_slot(log_dirty=True)
    ret, pfn, khva = vcpu_map(host, 1)
    page = host.page(HVA + 0x1000)
    assert (ret, pfn, khva) == (0, page.pfn, host.kernel.PAGE_OFFSET + (page.pfn << 12))
    assert page.refcount == 2
    with srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_vcpu_unmap(host.vcpu, 1, pfn, khva)
    assert page.refcount == 1
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, True, False, False]


def test_no_slot_and_no_memory(host: Host) -> None:
    assert vcpu_map(host, 1) == (-EINVAL, KVM_PFN_NOSLOT, 0)
    host.add_slot()
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert vcpu_map(host, 1) == (-EINVAL, KVM_PFN_ERR_FAULT, 0)


def test_read_only_slot_is_refused(host: Host) -> None:
    host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, readonly=True)
    assert vcpu_map(host, 0) == (-EINVAL, KVM_PFN_ERR_RO_FAULT, 0)


def test_device_memory_is_refused(host: Host) -> None:
    host.add_slot()
    host.map_device(HVA, len(host.kernel.mem_map))
    assert vcpu_map(host, 0) == (-EINVAL, KVM_PFN_ERR_FAULT, 0)
