# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host, reported


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
    host.kvm.mmu_lock.writer = True  # taking it would block
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


def test_release_of_the_mm_drops_sptes_and_leaves_caches(host: Host) -> None:
    host.add_slot()
    host.kernel.run_guest_access(host.vcpu, 0, False)
    with srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_gpc_activate(host.gpc, 0, 8)
    host.kernel.kvm_mmu_notifier_release(host.kvm)
    assert (host.kvm.sptes[0].pfn, host.gpc.valid) == (-1, True)


def test_empty_range_warns(host: Host) -> None:
    """Even one inside of a slot is no invalidation of guest mappings."""
    host.add_slot()
    with reported("warn-on"):
        host.kernel.kvm_mmu_notifier_invalidate_range_start(host.kvm, HVA + 0x1000, HVA + 0x1000)
    assert host.kvm.mmu_invalidate_in_progress == 0
