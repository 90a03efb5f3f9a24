# SPDX-License-Identifier: GPL-2.0-only
"""What is taken is given back: counters, references, kernel mappings, user mappings."""

from __future__ import annotations

import pytest

from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from tests.linux.conftest import HVA, Host, reported
from tests.properties.conftest import clock_on, some_page


def quiescent(host: Host) -> bool:
    """Every property of the end; True when none is violated."""
    host.kernel.trace_quiescent(host.kvm)
    return True


def test_a_busy_life_ends_in_balance(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.run_guest_access(host.vcpu, 0, False)
    host.kernel.madvise_dontneed(host.mm, HVA)
    host.kernel.run_clock_update(host.vcpu)
    host.kernel.migrate_pages(host.mm, HVA)
    host.delete_slot()
    assert quiescent(host)


# counter-imbalance


@pytest.mark.parametrize("hva", [HVA, HVA + 0x8000])
def test_an_invalidation_without_end(host: Host, hva: int) -> None:
    host.add_slot()
    host.kernel.kvm_mmu_notifier_invalidate_range_start(host.kvm, hva, hva + 0x1000)
    with reported("counter-imbalance"):
        quiescent(host)
    host.kernel.kvm_mmu_notifier_invalidate_range_end(host.kvm, hva, hva + 0x1000)
    assert quiescent(host)


def test_an_invalidation_of_guest_mappings_without_end(host: Host) -> None:
    host.kvm.mmu_invalidate_in_progress = 1
    with reported("counter-imbalance"):
        quiescent(host)


# refcount-imbalance


def test_a_reference_that_is_never_dropped(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.get_page(host.page(HVA))
    with reported("refcount-imbalance"):
        quiescent(host)
    host.kernel.put_page(host.page(HVA))
    assert quiescent(host)


def test_a_page_that_nobody_holds(host: Host) -> None:
    some_page(host)
    with reported("refcount-imbalance"):
        quiescent(host)


def test_a_page_cache_and_two_ptes_hold_three(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
    for hva in (HVA, HVA + 0x1000):
        host.kernel.vm_mmap_pgoff(host.mm, hva, file.f_mapping, 0)
        host.kernel.do_user_addr_fault(host.mm, hva)
    assert host.page(HVA).refcount == 3
    assert quiescent(host)
    host.kernel.put_page(host.page(HVA))
    with reported("refcount-imbalance"):
        quiescent(host)


# map-imbalance


def device_clock(host: Host) -> None:
    host.add_slot()
    host.map_device(HVA, 100)
    clock_on(host)


def test_a_cache_has_its_mapping(host: Host) -> None:
    device_clock(host)
    assert host.kernel.vmap_areas[0].busy
    assert quiescent(host)


def test_a_mapping_that_is_never_undone(host: Host) -> None:
    device_clock(host)
    host.gpc.khva = 0
    with reported("map-imbalance"):
        quiescent(host)


def test_a_mapping_that_is_undone_twice(host: Host) -> None:
    device_clock(host)
    host.kernel.memunmap(host.gpc.khva)
    with reported("map-imbalance"):
        quiescent(host)
    with reported("map-imbalance"):
        host.kernel.kvmclock_reset(host.vcpu)


def test_a_mapping_that_two_caches_have(host: Host) -> None:
    device_clock(host)
    other = host.vcpu.xen.vcpu_info_cache
    host.kvm.gpcs = (*host.kvm.gpcs, other)
    other.khva = host.gpc.khva
    with reported("map-imbalance"):
        quiescent(host)


# bad-rss


def test_a_pte_in_no_vma(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert quiescent(host)
    host.mm.vmas[HVA >> 12].present = False
    with reported("bad-rss"):
        quiescent(host)


def test_a_pte_that_a_userfaultfd_protects_is_writable(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.userfaultfd_register(host.mm, HVA)
    host.kernel.userfaultfd_writeprotect(host.mm, HVA, True)
    assert quiescent(host)
    host.mm.ptes[HVA >> 12].writable = True
    with reported("bad-rss"):
        quiescent(host)


def test_a_ksm_page_where_merging_is_forbidden(host: Host) -> None:
    for hva in (HVA, HVA + 0x1000):
        host.kernel.do_user_addr_fault(host.mm, hva)
        host.kernel.madvise_mergeable(host.mm, hva, True)
    assert host.kernel.try_to_merge_two_pages(host.mm, HVA, HVA + 0x1000) == 0
    assert quiescent(host)
    host.mm.vmas[HVA >> 12].mergeable = False
    with reported("bad-rss"):
        quiescent(host)
