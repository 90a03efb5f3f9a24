# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_6_12
from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_SIGPENDING
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host, MakeHost, reported


def test_slot_lookup(host: Host) -> None:
    host.add_slot(base_gfn=2, npages=2)
    kernel, kvm = host.kernel, host.kvm
    with srcu_read_lock(kvm.srcu):
        found = [kernel.gfn_to_memslot(kvm, gfn) for gfn in range(1, 5)]
    assert found == [None, host.slot(), host.slot(), None]
    assert kernel.gfn_to_hva_memslot(host.slot(), 3) == HVA + 0x1000
    assert kernel.gfn_to_hva_memslot(None, 3) == kernel.KVM_HVA_ERR_BAD
    with pytest.raises(PropertyViolated) as splat:
        kernel.gfn_to_memslot(kvm, 2)
    assert splat.value.kind == "srcu-unprotected"


def test_hva_to_pfn(host: Host) -> None:
    kernel = host.kernel
    pfn = kernel.hva_to_pfn(HVA)
    assert (pfn, kernel.mem_map[pfn].refcount) == (host.page(HVA).pfn, 2)
    kernel.kvm_release_page_clean(pfn)
    assert kernel.mem_map[pfn].refcount == 1
    assert kernel.hva_to_pfn(0) == KVM_PFN_ERR_FAULT
    current().signal_pending = True
    assert kernel.hva_to_pfn(HVA) == pfn  # the fast way asks for no signal
    assert kernel.hva_to_pfn(HVA + 0x1000) == KVM_PFN_ERR_SIGPENDING


def test_lookup_may_sleep_even_if_the_page_is_present(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    with reported("sleeping-in-atomic"), spin_lock(host.kvm.gpc_lock):
        host.kernel.hva_to_pfn(HVA)


def driver_page(host: Host) -> Page:
    """A page that a driver maps by remap_pfn_range()."""
    page = host.kernel.alloc_page()
    assert page is not None
    host.kernel.remap_pfn_range(host.mm, HVA, page.pfn)
    return page


def test_no_reference_on_a_drivers_page(host: Host) -> None:
    page = driver_page(host)
    for release in (host.kernel.kvm_release_page_clean, host.kernel.kvm_release_page_unused):
        assert host.kernel.hva_to_pfn(HVA) == page.pfn
        assert page.refcount == 1
        release(page.pfn)
        assert page.refcount == 1
    # what is looked up next is put again
    assert host.kernel.do_user_addr_fault(host.mm, HVA + 0x1000) == 0
    other = host.page(HVA + 0x1000)
    assert host.kernel.hva_to_pfn(HVA + 0x1000) == other.pfn
    host.kernel.kvm_release_page_clean(other.pfn)
    assert other.refcount == 1


def test_a_drivers_page_is_not_pinned(host: Host) -> None:
    page = driver_page(host)
    host.add_slot()
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.kvm_vcpu_map(host.vcpu, 0)[0] == -EINVAL
    assert (page.refcount, page.pincount) == (1, 0)


def test_before_6_13_a_drivers_page_had_a_reference(make_host: MakeHost) -> None:
    host = make_host(mainline_6_12.kernel())
    page = driver_page(host)
    assert host.kernel.hva_to_pfn(HVA) == page.pfn
    assert page.refcount == 2
    host.kernel.kvm_release_page_clean(page.pfn)
    assert page.refcount == 1
    page.refcount = 0  # a driver that does not count
    assert host.kernel.hva_to_pfn(HVA) == KVM_PFN_ERR_FAULT
    assert (page.refcount, host.mm.page_table_lock.held) == (0, False)


def test_pins(host: Host) -> None:
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    page = host.page(HVA)
    host.add_slot()
    with srcu_read_lock(host.kvm.srcu):
        ret, pfn, khva = host.kernel.kvm_vcpu_map(host.vcpu, 0)
        assert (ret, pfn, page.refcount, page.pincount) == (0, page.pfn, 2, 1)
        host.kernel.kvm_vcpu_unmap(host.vcpu, 0, pfn, khva)
    assert (page.refcount, page.pincount) == (1, 0)
