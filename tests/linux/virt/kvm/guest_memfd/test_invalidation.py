# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_HWPOISON
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host
from tests.linux.virt.kvm.guest_memfd.helpers import cached, get_pfn, gmem_slot


def test_punch_hole_removes_the_page_from_the_guest_from_user_space_and_from_caches(host: Host) -> None:
    file = gmem_slot(host)
    kernel, kvm = host.kernel, host.kvm
    kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert kernel.run_guest_access(host.vcpu, 0x1000, False) == 0
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_gpc_activate(host.gpc, 0x1000, 8) == 0
    page = host.page(HVA)
    assert kvm.sptes[1].pfn == host.gpc.pfn == page.pfn
    before = kvm.gpc_invalidate_seq, kvm.mmu_invalidate_seq
    assert kernel.kvm_gmem_punch_hole(file, 1, 2) == 0
    assert (kvm.sptes[1].pfn, host.mm.ptes[HVA >> 12].pfn, host.gpc.valid) == (-1, -1, False)
    assert (page.free, page.mapcount, cached(file)) == (True, 0, [None] * 4)
    # guest_memfd's own invalidation has no part in pfncache's counters: the one that counts is the PTE's
    assert (kvm.mn_active_invalidate_count, kvm.mmu_invalidate_in_progress) == (0, 0)
    assert (kvm.gpc_invalidate_seq, kvm.mmu_invalidate_seq) == (before[0] + 1, before[1] + 2)


def test_punch_hole_where_nothing_is_bound_invalidates_nothing(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.kvm_gmem_punch_hole(file, 0, 1)
    assert (host.kvm.mmu_invalidate_seq, host.kvm.gpc_invalidate_seq) == (0, 0)


def test_invalidation_range_is_in_gfns(host: Host) -> None:
    file = gmem_slot(host, base_gfn=4)
    host.kernel.kvm_gmem_invalidate_start(file.f_mapping, 0, 3)
    assert (host.kvm.mmu_invalidate_range_start, host.kvm.mmu_invalidate_range_end) == (4, 6)
    assert host.kvm.mmu_invalidate_in_progress == 1
    host.kernel.kvm_gmem_invalidate_end(file.f_mapping, 0, 3)
    assert (host.kvm.mmu_invalidate_in_progress, host.kvm.mmu_invalidate_seq) == (0, 1)


def test_memory_error(host: Host) -> None:
    file = gmem_slot(host)
    kernel = host.kernel
    assert kernel.run_guest_access(host.vcpu, 0x1000, False) == 0
    kernel.memory_failure(host.mm, HVA, file.f_mapping, 1)
    assert host.kvm.sptes[1].pfn == -1
    assert cached(file)[1] is not None  # it stays in the cache
    assert get_pfn(host, 1) == KVM_PFN_ERR_HWPOISON
    assert (host.kvm.mmu_invalidate_in_progress, file.f_mapping.invalidate_lock.readers) == (0, 0)
