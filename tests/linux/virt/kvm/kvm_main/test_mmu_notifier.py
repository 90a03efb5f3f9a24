# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.kvm_host import GfnToHvaCache
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_SIGPENDING
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host


def counters(host: Host) -> tuple[int, int, int, int]:
    kvm = host.kvm
    return (
        kvm.mn_active_invalidate_count, kvm.gpc_invalidate_seq, kvm.mmu_invalidate_in_progress, kvm.mmu_invalidate_seq,
    )  # fmt: skip


def test_notifier_pair_in_a_slot_moves_both_sequences(host: Host) -> None:
    host.add_slot(base_gfn=2)
    host.kernel.kvm_mmu_notifier_invalidate_range_start(host.kvm, HVA + 0x1000, HVA + 0x3000)
    assert counters(host) == (1, 0, 1, 0)
    assert (host.kvm.mmu_invalidate_range_start, host.kvm.mmu_invalidate_range_end) == (3, 5)
    host.kernel.kvm_mmu_notifier_invalidate_range_end(host.kvm, HVA + 0x1000, HVA + 0x3000)
    assert counters(host) == (0, 1, 0, 1)


def test_notifier_pair_outside_slots_leaves_mmu_lock_alone(host: Host) -> None:
    host.add_slot(npages=1)
    host.kvm.mmu_lock.writer = True  # whoever wants it would block
    host.kernel.kvm_mmu_notifier_invalidate_range_start(host.kvm, HVA + 0x1000, HVA + 0x2000)
    assert counters(host) == (1, 0, 0, 0)
    host.kernel.kvm_mmu_notifier_invalidate_range_end(host.kvm, HVA + 0x1000, HVA + 0x2000)
    assert counters(host) == (0, 1, 0, 0)


def test_one_invalidation_for_all_slots_of_a_range(host: Host) -> None:
    host.add_slot(base_gfn=0, npages=1, slot_id=0, hva=HVA)
    host.add_slot(base_gfn=5, npages=2, slot_id=1, hva=HVA)  # overlapping user addresses are allowed
    host.kernel.kvm_mmu_notifier_invalidate_range_start(host.kvm, HVA, HVA + 0x4000)
    assert counters(host) == (1, 0, 1, 0)
    assert (host.kvm.mmu_invalidate_range_start, host.kvm.mmu_invalidate_range_end) == (0, 7)


def test_range_only_grows_while_anything_is_in_progress(host: Host) -> None:
    host.add_slot()
    kernel, kvm = host.kernel, host.kvm
    kernel.kvm_mmu_notifier_invalidate_range_start(kvm, HVA + 0x2000, HVA + 0x3000)
    kernel.kvm_mmu_notifier_invalidate_range_start(kvm, HVA, HVA + 0x1000)
    kernel.kvm_mmu_notifier_invalidate_range_end(kvm, HVA, HVA + 0x1000)
    assert (kvm.mmu_invalidate_in_progress, kvm.mmu_invalidate_range_start, kvm.mmu_invalidate_range_end) == (1, 0, 3)
    kernel.kvm_mmu_notifier_invalidate_range_end(kvm, HVA + 0x2000, HVA + 0x3000)
    kernel.kvm_mmu_notifier_invalidate_range_start(kvm, HVA + 0x1000, HVA + 0x2000)
    assert (kvm.mmu_invalidate_range_start, kvm.mmu_invalidate_range_end) == (1, 2)


def test_end_without_start_warns(host: Host) -> None:
    with pytest.raises(PropertyViolated) as splat:
        host.kernel.kvm_mmu_notifier_invalidate_range_end(host.kvm, HVA, HVA + 0x1000)
    assert splat.value.kind == "warn-on"


def test_notifier_zaps_what_the_guest_maps(host: Host) -> None:
    host.add_slot()
    assert host.kernel.run_guest_access(host.vcpu, 0x1000, False) == 0
    assert host.kvm.sptes[1].pfn == host.page(HVA + 0x1000).pfn
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert host.kvm.sptes[1].pfn == -1


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


def test_readonly_slot_can_only_be_read(host: Host) -> None:
    kernel, kvm = host.kernel, host.kvm
    kernel.kvm_set_memory_region(kvm, 0, 0, 1, HVA, readonly=True)
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_read_guest_page(kvm, 0, 0, 1) == 0
        assert kernel.kvm_write_guest_page(kvm, 0, b"x", 0) == -EFAULT
        assert kernel.kvm_gfn_to_hva_cache_init(kvm, GfnToHvaCache("ghc"), 0) == -EFAULT


def test_write_guest_page_marks_dirty_after_the_copy(host: Host) -> None:
    host.add_slot(base_gfn=1, log_dirty=True)
    kernel, kvm = host.kernel, host.kvm
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_page(kvm, 2, b"abc", 5) == 0
        assert kernel.kvm_write_guest_page(kvm, 7, b"abc", 5) == -EFAULT
    assert bytes(host.page(HVA + 0x1000).host_bytes[4:9]) == b"\0abc\0"
    assert [bit.dirty for bit in host.slot().dirty_bitmap[:4]] == [False, True, False, False]


def test_write_that_fails_marks_nothing(host: Host) -> None:
    host.add_slot(log_dirty=True)
    host.kernel.vm_munmap(host.mm, HVA)
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.kvm_write_guest_page(host.kvm, 0, b"a", 0) == -EFAULT
    assert not host.slot().dirty_bitmap[0].dirty


def test_hva_cache_follows_the_memslots(host: Host) -> None:
    host.add_slot(base_gfn=0)
    ghc = GfnToHvaCache("ghc")
    kernel, kvm = host.kernel, host.kvm
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_gfn_to_hva_cache_init(kvm, ghc, 0x1008) == 0
        assert (ghc.hva, ghc.generation) == (HVA + 0x1008, 1)
    host.delete_slot()
    host.add_slot(base_gfn=1, hva=HVA + 0x2000, npages=1)
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_cached(kvm, ghc, b"new") == 0
        assert (ghc.hva, ghc.generation) == (HVA + 0x2008, 4)
        assert kernel.kvm_read_guest_cached(kvm, ghc, 3) == 0
    host.delete_slot()
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_cached(kvm, ghc, b"new") == -EFAULT
        assert kernel.kvm_read_guest_cached(kvm, ghc, 3) == -EFAULT


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


def test_release_of_the_mm_drops_sptes_and_leaves_caches(host: Host) -> None:
    host.add_slot()
    host.kernel.run_guest_access(host.vcpu, 0, False)
    with srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_gpc_activate(host.gpc, 0, 8)
    host.kernel.kvm_mmu_notifier_release(host.kvm)
    assert (host.kvm.sptes[0].pfn, host.gpc.valid) == (-1, True)
