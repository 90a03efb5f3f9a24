# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_SIGPENDING
from pfncache.linux.include.linux.sched import current
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host, reported


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
