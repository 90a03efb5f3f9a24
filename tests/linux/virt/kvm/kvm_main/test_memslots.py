# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.include.uapi.linux.errno import EEXIST, EINVAL, ENOMEM
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

MAPPABLE = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED


def in_use(host: Host) -> int:
    """Slots that are allocated."""
    return sum(slot.__dict__["slab_state"] == 1 for slot in host.kvm.slot_cache)


def test_create(host: Host) -> None:
    assert host.add_slot(base_gfn=1, npages=2, slot_id=1) == 0
    slot = host.slot(1)
    assert (slot.base_gfn, slot.npages, slot.userspace_addr, slot.arch_ready) == (1, 2, HVA, True)
    assert (host.generation, in_use(host)) == (1, 1)
    assert [s.entries[1].slot for s in host.kvm.sets] == [slot, slot]
    assert (host.kvm.slots_lock.held, host.kvm.slots_arch_lock.held) == (False, False)


def test_delete_swaps_twice_and_frees(host: Host) -> None:
    host.add_slot()
    assert host.delete_slot() == 0
    assert (host.generation, in_use(host)) == (3, 0)
    assert [s.entries[0].slot for s in host.kvm.sets] == [None, None]
    assert host.delete_slot() == -EINVAL


@pytest.mark.parametrize(
    ("slot_id", "base_gfn", "npages", "hva", "errno"),
    [
        (1, 3, 1, HVA, -EEXIST),
        (1, 4, 1, HVA, 0),
        (1, 5, 1, 0, 0),  # any user address will do
        (1, 5, 1, HVA + 8, -EINVAL),
        (1, 5, 2, (64 << 12) - 0x1000, -EINVAL),  # past the end of user address space
        (0, 0, 4, HVA, 0),  # nothing changes
        (0, 0, 3, HVA, -EINVAL),
        (0, 0, 4, HVA + 0x1000, -EINVAL),
    ],
)
def test_errors(host: Host, slot_id: int, base_gfn: int, npages: int, hva: int, errno: int) -> None:
    host.add_slot(base_gfn=0, npages=4)
    assert host.add_slot(base_gfn, npages, slot_id, hva) == errno


def test_readonly_cannot_be_toggled(host: Host) -> None:
    host.add_slot()
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 4, HVA, readonly=True) == -EINVAL


def test_no_memory(make_host: MakeHost) -> None:
    host = make_host(slots=1)
    host.add_slot(npages=1)
    assert host.add_slot(base_gfn=1, npages=1, slot_id=1) == -ENOMEM
    assert host.delete_slot() == -ENOMEM  # for the INVALID copy
    assert (host.generation, in_use(host), host.kvm.slots_arch_lock.held) == (1, 1, False)


def test_gmem_slots_are_immutable(host: Host) -> None:
    kernel, kvm = host.kernel, host.kvm
    gmem = kernel._kvm_gmem_create("gmem", kvm, 4, MAPPABLE)
    assert kernel.set_memory_region(kvm, 0, 0, 2, HVA, log_dirty=True, gmem=gmem) == -EINVAL
    assert kernel.set_memory_region(kvm, 0, 0, 2, HVA, readonly=True, gmem=gmem) == -EINVAL
    assert kernel.set_memory_region(kvm, 0, 0, 2, HVA, gmem=gmem) == 0
    assert (host.slot().guest_memfd, host.slot().gmem_only, host.slot().gmem_file) == (True, True, gmem)
    assert kernel.set_memory_region(kvm, 0, 4, 2, HVA, gmem=gmem) == -EINVAL
    assert host.add_slot(npages=2) == -EINVAL
    assert host.add_slot(npages=2, log_dirty=True) == -EINVAL
    assert host.delete_slot() == 0
    assert (in_use(host), gmem.f_count) == (0, 1)


def test_move_keeps_the_dirty_log(host: Host) -> None:
    host.add_slot(log_dirty=True)
    with srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_write_guest_page(host.kvm, 1, b"x", 0)
    assert host.add_slot(base_gfn=4, log_dirty=True) == 0
    assert (host.slot().base_gfn, host.slot().userspace_addr, host.generation, in_use(host)) == (4, HVA, 3, 1)
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, True, False, False]
    host.add_slot(base_gfn=0, npages=1, slot_id=1)
    assert host.add_slot(base_gfn=0, log_dirty=True) == -EEXIST


def test_failed_move_brings_the_old_slot_back(make_host: MakeHost) -> None:
    class NoMetadata(Vmlinux):
        fails = False

        def kvm_arch_prepare_memory_region(
            self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
        ) -> Errno:
            return -ENOMEM if self.fails else super().kvm_arch_prepare_memory_region(kvm, old, new, change)

    host = make_host(NoMetadata)
    host.add_slot()
    old = host.slot()
    assert isinstance(host.kernel, NoMetadata)
    host.kernel.fails = True
    assert host.add_slot(base_gfn=4) == -ENOMEM
    assert (host.slot(), host.generation, in_use(host)) == (old, 3, 1)
    assert [s.entries[0].slot for s in host.kvm.sets] == [old, old]
    assert host.add_slot(base_gfn=4, slot_id=1) == -ENOMEM
    assert (in_use(host), host.kvm.slots_lock.held, host.kvm.slots_arch_lock.held) == (1, False, False)


def test_flags_only_takes_one_swap(host: Host) -> None:
    host.add_slot()
    assert host.add_slot(log_dirty=True) == 0
    assert (host.slot().log_dirty, host.generation, in_use(host)) == (True, 2, 1)


def test_invalid_placeholder_is_what_readers_see_meanwhile(make_host: MakeHost) -> None:
    seen: list[tuple[bool, bool, bool, bool]] = []

    class Watching(Vmlinux):
        def kvm_arch_flush_shadow_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
            slots = self._kvm_memslots(kvm)
            placeholder = slots.entries[0].slot
            assert placeholder is not None
            error = self.kvm_is_error_hva(self.gfn_to_hva_memslot(placeholder, 0))
            seen.append((placeholder is slot, placeholder.invalid, error, kvm.slots_arch_lock.held))
            super().kvm_arch_flush_shadow_memslot(kvm, slot)

    host = make_host(Watching)
    host.add_slot()
    host.delete_slot()
    assert seen == [(False, True, True, False)]


def test_update_waits_for_notifiers(host: Host) -> None:
    host.kernel.kvm_mmu_notifier_invalidate_range_start(host.kvm, HVA, HVA + 0x1000)
    with pytest.raises(WouldBlock):
        host.add_slot()
    assert host.kvm.memslots is host.kvm.sets[0]
    assert host.kvm.mn_memslots_update_rcuwait.waiting
    host.kernel.kvm_mmu_notifier_invalidate_range_end(host.kvm, HVA, HVA + 0x1000)
    assert host.kvm.mn_memslots_update_rcuwait.woken


def test_update_waits_for_readers_after_publishing(host: Host) -> None:
    with srcu_read_lock(host.kvm.srcu):
        with pytest.raises(WouldBlock):
            host.add_slot()
        assert host.kvm.memslots is host.kvm.sets[1]
        assert host.generation == host.kernel.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS
        assert not host.kvm.slots_arch_lock.held


def test_memslots_are_read_under_srcu_or_slots_lock_or_without_references(host: Host) -> None:
    with reported("srcu-unprotected"):
        host.kernel.kvm_memslots(host.kvm)
    with srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_memslots(host.kvm)
    with mutex(host.kvm.slots_lock):
        host.kernel.kvm_memslots(host.kvm)
    host.kvm.users_count = 0
    host.kernel.kvm_memslots(host.kvm)


class Mutable(Vmlinux):
    """Without the test that refuses to take guest_memfd from a slot."""

    def slot_is_immutable(self, old: KvmMemorySlot, flags: int) -> bool:
        return False


@pytest.mark.parametrize("base_gfn", [0, 4])
def test_replaced_slot_with_guest_memfd_is_a_bug(make_host: MakeHost, base_gfn: int) -> None:
    """kvm_commit_memory_region() warns of a change of flags, and of a move."""
    host = make_host(Mutable)
    gmem = host.kernel._kvm_gmem_create("gmem", host.kvm, 2, MAPPABLE)
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 2, HVA, gmem=gmem) == 0
    with reported("warn-on"):
        host.add_slot(base_gfn, npages=2)


def test_overlapping_updates_are_a_bug(host: Host) -> None:
    """An update that another one without slots_lock overlaps would set the flag twice."""
    host.add_slot()
    slots = host.kvm.memslots
    assert slots is not None
    slots.generation |= host.kernel.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS
    with reported("warn-on"):
        host.add_slot(base_gfn=4, slot_id=1)


def test_inactive_set_is_looked_for_under_slots_lock(host: Host) -> None:
    with reported("srcu-unprotected"):
        host.kernel.kvm_get_inactive_memslots(host.kvm)


def test_vcpus_are_kicked_before_the_new_generation(make_host: MakeHost) -> None:
    """Their steal time has to be looked up again; the generation still has the flag of an update in progress."""
    seen: list[int] = []

    class Watching(Vmlinux):
        def kvm_vcpu_kick(self, vcpu: KvmVcpu) -> None:
            assert vcpu.kvm is not None and vcpu.kvm.slots_lock.held
            seen.append(self._kvm_memslots(vcpu.kvm).generation & self.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS)

    host = make_host(Watching)
    host.add_slot()
    host.delete_slot()
    assert seen == [host.kernel.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS] * 3
