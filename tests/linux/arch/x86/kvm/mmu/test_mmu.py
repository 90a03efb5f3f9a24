# SPDX-License-Identifier: GPL-2.0-only
"""TDP faults, and what takes their mappings away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_TDX_VM
from pfncache.linux.arch.x86.kvm.mmu.mmu import RET_PF_EMULATE, RET_PF_RETRY
from pfncache.linux.include.linux.kvm_host import File, Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP, KVM_X86_SW_PROTECTED_VM
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported


def access(host: Host, gfn: int = 0, private: bool = False) -> int:
    return host.kernel.run_guest_access(host.vcpu, gfn << 12, private)


def mapped(host: Host) -> list[int]:
    return [spte.pfn for spte in host.kvm.sptes]


def gmem_slot(host: Host, flags: int, npages: int = 2) -> File:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, npages, flags)
    assert host.kernel.set_memory_region(host.kvm, 0, 0, npages, HVA, gmem=file) == 0
    return file


@pytest.fixture
def private_host(make_host: MakeHost) -> Host:
    """A VM with private memory."""
    return make_host(vm_type=KVM_X86_SW_PROTECTED_VM)


# Faults


def test_anonymous_memory_is_mapped_without_a_reference(host: Host) -> None:
    host.add_slot(base_gfn=1)
    assert access(host, 2) == 0
    page = host.page(HVA + 0x1000)
    assert mapped(host) == [-1, -1, page.pfn, -1, -1, -1, -1, -1]
    assert (page.refcount, host.kvm.sptes[2].private, host.mm.ptes[HVA >> 12].pfn) == (1, False, -1)


def test_a_second_access_takes_no_fault(host: Host) -> None:
    host.add_slot()
    access(host)
    host.kvm.mmu_invalidate_in_progress = 1  # would be retried
    assert access(host) == 0


@pytest.mark.parametrize("unmap", [False, True])
def test_fault_without_memory(host: Host, unmap: bool) -> None:
    if unmap:
        host.add_slot()
        host.kernel.vm_munmap(host.mm, HVA)
    assert access(host) == -EFAULT
    assert mapped(host) == [-1] * 8


def fault(host: Host, gfn: int = 0) -> int:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.kvm_tdp_page_fault(host.kvm, gfn, False)


def test_write_to_a_readonly_slot_is_emulated_and_exits(host: Host) -> None:
    host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, readonly=True)
    assert fault(host) == RET_PF_EMULATE
    assert host.mm.ptes[HVA >> 12].pfn == -1
    assert access(host) == -EFAULT
    # the instruction was fetched; its write is MMIO
    assert (host.mm.ptes[HVA >> 12].pfn >= 0, mapped(host)[0]) == (True, -1)


def test_write_to_read_only_device_memory_is_emulated(host: Host) -> None:
    host.add_slot()
    host.map_device(HVA, len(host.kernel.mem_map))
    host.mm.ptes[HVA >> 12].writable = False
    assert fault(host) == RET_PF_EMULATE
    host.mm.vmas[HVA >> 12].writable = False
    assert fault(host) == RET_PF_EMULATE


def test_emulated_write_that_succeeds_resumes_the_guest(host: Host) -> None:
    """The slot has become writable between the fault and the emulation."""

    class Slow(Vmlinux):
        def kvm_handle_error_pfn(self, pfn: Pfn) -> int:
            host.slot().readonly = False
            return super().kvm_handle_error_pfn(pfn)

    host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, readonly=True)
    host.kernel.__class__ = Slow
    assert access(host) == 0
    assert mapped(host)[0] == -1


def test_poisoned_page_is_retried_after_the_signal(host: Host) -> None:
    memfd = host.kernel.new_memfd("memfd", 1)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 0)
    host.add_slot()
    assert access(host) == 0
    host.kernel.memory_failure(host.mm, HVA, memfd, 0)
    assert access(host) == RET_PF_RETRY


def test_shared_guest_memfd_needs_no_user_mapping(host: Host) -> None:
    file = gmem_slot(host, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert access(host, 1) == 0
    page = file.f_mapping.i_pages[1].page
    assert page is not None
    assert (mapped(host)[1], page.refcount, host.kvm.sptes[1].private) == (page.pfn, 1, False)


def test_private_memory(private_host: Host) -> None:
    file = gmem_slot(private_host, 0)
    assert private_host.kernel.set_memory_attributes(private_host.kvm, 0, 1, True) == 0
    assert access(private_host, 0, private=True) == 0
    page = file.f_mapping.i_pages[0].page
    assert page is not None
    assert (private_host.kvm.sptes[0].pfn, private_host.kvm.sptes[0].private) == (page.pfn, True)
    # the neighbour is shared, and so comes from user space
    assert access(private_host, 1) == 0
    assert private_host.kvm.sptes[1].pfn == private_host.page(HVA + 0x1000).pfn
    assert file.f_mapping.i_pages[1].page is None


@pytest.mark.parametrize("attribute", [False, True])
def test_access_of_the_other_kind_exits(private_host: Host, attribute: bool) -> None:
    gmem_slot(private_host, 0)
    private_host.kernel.set_memory_attributes(private_host.kvm, 0, 1, attribute)
    assert access(private_host, 0, private=not attribute) == -EFAULT
    assert mapped(private_host)[0] == -1


def test_private_fault_in_a_slot_without_guest_memfd_exits(private_host: Host) -> None:
    private_host.add_slot()
    private_host.kernel.set_memory_attributes(private_host.kvm, 0, 1, True)
    assert access(private_host, 0, private=True) == -EFAULT


def test_fault_in_a_slot_that_is_going_away(host: Host) -> None:
    host.add_slot()
    host.slot().invalid = True
    assert access(host) == RET_PF_RETRY


@pytest.mark.parametrize(("start", "end", "answer"), [(0, 1, RET_PF_RETRY), (1, 2, 0), (0, 4, RET_PF_RETRY)])
def test_invalidation_in_progress_goes_by_its_range(host: Host, start: int, end: int, answer: int) -> None:
    host.add_slot()
    host.kernel.kvm_mmu_notifier_invalidate_range_start(host.kvm, HVA + (start << 12), HVA + (end << 12))
    assert access(host) == answer
    host.kernel.kvm_mmu_notifier_invalidate_range_end(host.kvm, HVA + (start << 12), HVA + (end << 12))
    assert access(host) == 0


class Interrupted(Vmlinux):
    """Something happens between the lookup and mmu_lock."""

    meanwhile: Callable[[], object] | None = None

    def hva_to_pfn(self, hva: int) -> int:
        pfn = super().hva_to_pfn(hva)
        if self.meanwhile is not None:
            todo, self.meanwhile = self.meanwhile, None
            todo()
        return pfn


@pytest.mark.parametrize(("offset", "answer"), [(0, RET_PF_RETRY), (0x1000, RET_PF_RETRY), (0x8000, 0)])
def test_invalidation_that_has_ended_counts_wherever_it_was_in_a_slot(
    make_host: MakeHost, offset: int, answer: int
) -> None:
    host = make_host(Interrupted)
    assert isinstance(host.kernel, Interrupted)
    host.add_slot()
    host.kernel.vm_mmap_pgoff(host.mm, HVA + 0x8000, None, 0)
    kernel = host.kernel
    kernel.meanwhile = lambda: kernel.vm_munmap(host.mm, HVA + offset)
    assert access(host) == answer
    assert mapped(host)[0] == (-1 if answer else host.page(HVA).pfn)
    assert [page.pfn for page in kernel.mem_map if page.refcount] == ([] if offset == 0 else [0])


# Zapping


@pytest.mark.parametrize(
    ("vm_type", "private", "shared", "left"),
    [
        (KVM_X86_TDX_VM, True, False, [0, -1]),
        (KVM_X86_TDX_VM, False, True, [-1, 1]),
        (KVM_X86_TDX_VM, True, True, [-1, -1]),
        *((vm_type, kind, not kind, [-1, -1]) for vm_type in (0, KVM_X86_SW_PROTECTED_VM) for kind in (False, True)),
    ],
)
def test_zap_goes_by_the_root(make_host: MakeHost, vm_type: int, private: bool, shared: bool, left: list[int]) -> None:
    """kvm_gfn_range_filter_to_root_types(): where there is one root for both, the filter is ignored."""
    host = make_host(vm_type=vm_type)
    for gfn in range(2):
        host.kernel.set_spte(host.kvm, gfn, gfn, gfn == 1)
    with mutex(host.kvm.slots_lock), write_lock(host.kvm.mmu_lock):
        host.kernel.kvm_unmap_gfn_range(host.kvm, 0, 2, private, shared)
    assert mapped(host)[:2] == left


def test_zapping_needs_an_invalidation_or_slots_lock(host: Host) -> None:
    with reported("lock-assertion"), write_lock(host.kvm.mmu_lock):
        host.kernel.kvm_unmap_gfn_range(host.kvm, 0, 1, True, True)
    host.kvm.mmu_lock.write_unlock()
    with mutex(host.kvm.slots_lock), write_lock(host.kvm.mmu_lock):
        host.kernel.kvm_unmap_gfn_range(host.kvm, 0, 1, True, True)
    with write_lock(host.kvm.mmu_lock):
        host.kernel.kvm_mmu_invalidate_start(host.kvm)
        host.kernel.kvm_mmu_invalidate_range_add(host.kvm, 0, 1)
        host.kernel.kvm_unmap_gfn_range(host.kvm, 0, 1, True, True)
        host.kernel.kvm_mmu_invalidate_end(host.kvm)


def test_mmu_lock_is_dropped_between_two_sptes(make_host: MakeHost) -> None:
    events: list[str] = []

    class Watching(Vmlinux):
        def zap_spte(self, kvm: Kvm, gfn: Gfn, private: bool, shared: bool) -> bool:
            assert kvm.mmu_lock.writer
            events.append(f"zap {gfn}")
            return gfn == 1

        def flush_if(self, kvm: Kvm, flush: bool) -> None:
            events.append("flush" if flush else "no flush")

    host = make_host(Watching)
    host.kvm.mmu_lock.__dict__["write_unlock"] = lambda: events.append("unlock")
    host.kvm.mmu_lock.__dict__["write_lock"] = lambda: events.append("lock")
    host.kvm.mmu_lock.writer = True
    assert not host.kernel.tdp_mmu_zap_leafs(host.kvm, 1, 4, True, True)
    assert events == ["zap 1", "flush", "unlock", "lock", "zap 2", "no flush", "unlock", "lock", "zap 3"]
    # what is zapped last is the caller's to flush
    assert host.kernel.tdp_mmu_zap_leafs(host.kvm, 0, 2, True, True)


def test_a_range_that_is_not_set_is_a_bug_under_mmu_lock_only(host: Host) -> None:
    host.kvm.mmu_invalidate_in_progress = 1
    assert not host.kernel.mmu_invalidate_retry_gfn_unsafe(host.kvm, host.kvm.mmu_invalidate_seq, 0)
    with reported("warn-on"), write_lock(host.kvm.mmu_lock):
        host.kernel.mmu_invalidate_retry_gfn(host.kvm, host.kvm.mmu_invalidate_seq, 0)


@pytest.mark.parametrize(
    ("start", "end", "retry"), [(0, 1, True), (1, 2, False), (-1, 1, False), (0, -1, True), (-1, -1, False)]
)
def test_hint_takes_an_invalid_gpa_for_a_high_number(host: Host, start: int, end: int, retry: bool) -> None:
    """Without mmu_lock, either limit may be read before or after it is set; INVALID_GPA has no sign."""
    kvm = host.kvm
    kvm.mmu_invalidate_in_progress = 1
    kvm.mmu_invalidate_range_start, kvm.mmu_invalidate_range_end = start, end
    assert host.kernel.mmu_invalidate_retry_gfn_unsafe(kvm, kvm.mmu_invalidate_seq, 0) is retry


def map_all(host: Host) -> None:
    for gfn in range(8):
        host.kernel.set_spte(host.kvm, gfn, gfn, gfn % 2 == 1)


def test_zap_of_a_range_and_of_a_slot(host: Host) -> None:
    map_all(host)
    with mutex(host.kvm.slots_lock), write_lock(host.kvm.mmu_lock):
        host.kernel.kvm_unmap_gfn_range(host.kvm, 2, 4, True, True)
    assert mapped(host) == [0, 1, -1, -1, 4, 5, 6, 7]
    host.add_slot(base_gfn=5, npages=2)
    with mutex(host.kvm.slots_lock):
        host.kernel.kvm_arch_flush_shadow_memslot(host.kvm, host.slot())
    assert mapped(host) == [0, 1, -1, -1, 4, -1, -1, 7]
    host.kernel.kvm_arch_flush_shadow_all(host.kvm)
    assert mapped(host) == [-1] * 8


def test_zap_without_mmu_lock_is_asserted(host: Host) -> None:
    with reported("lock-assertion"):
        host.kernel.tdp_mmu_zap_leafs(host.kvm, 0, 1, True, True)


def test_kvm_zap_gfn_range(host: Host) -> None:
    host.add_slot(base_gfn=1, npages=4)
    map_all(host)
    host.kernel.kvm_zap_gfn_range(host.kvm, 3, 7)
    assert mapped(host) == [0, 1, 2, -1, -1, -1, -1, 7]  # whether or not it is in a slot
    kvm = host.kvm
    assert (kvm.mmu_invalidate_seq, kvm.mmu_invalidate_in_progress, kvm.gpc_invalidate_seq) == (1, 0, 0)
    assert (kvm.mmu_invalidate_range_start, kvm.mmu_invalidate_range_end) == (3, 7)


class ZapWithoutSrcu(Vmlinux):
    """As before 7.3.2."""

    rmaps = True

    def kvm_zap_gfn_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        self.zap_gfns(kvm, start, end)

    def kvm_memslots_have_rmaps(self, kvm: Kvm) -> bool:
        return self.rmaps


def test_kvm_zap_gfn_range_outside_srcu(make_host: MakeHost) -> None:
    """The memslots are read for their rmaps alone."""
    host = make_host(ZapWithoutSrcu)
    assert isinstance(host.kernel, ZapWithoutSrcu)
    host.kernel.rmaps = False
    host.kernel.kvm_zap_gfn_range(host.kvm, 0, 1)
    host.kernel.rmaps = True
    with reported("srcu-unprotected"):
        host.kernel.kvm_zap_gfn_range(host.kvm, 0, 1)


def test_rmaps_are_walked_where_there_are_any(make_host: MakeHost) -> None:
    host = make_host(ZapWithoutSrcu)
    assert isinstance(host.kernel, ZapWithoutSrcu)
    host.add_slot()
    slot = host.slot()
    slot.arch_ready = False
    host.kvm.mmu_lock.writer = True
    host.kvm.mmu_invalidate_in_progress = 1
    host.kernel.rmaps = False
    host.kernel.unmap_slot_range(host.kvm, slot, 0, 1, True, True)
    host.kernel.rmaps = True
    with reported("null-dereference"):
        host.kernel.unmap_slot_range(host.kvm, slot, 0, 1, True, True)
    host.kvm.mmu_lock.writer = False
    host.kvm.mmu_invalidate_in_progress = 0
    with reported("null-dereference"), srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_zap_gfn_range(host.kvm, 3, 9)


def test_empty_range_is_a_bug(host: Host) -> None:
    with reported("warn-on"):
        host.kernel.kvm_zap_gfn_range(host.kvm, 1, 1)


def test_fault_over_a_present_spte_keeps_it(host: Host) -> None:
    """Two vCPUs fault at once: the slower one finds the page of the faster one, or KVM has a bug."""
    host.kernel.set_spte(host.kvm, 0, 1, False)
    host.kernel.set_spte(host.kvm, 0, 1, True)
    assert (host.kvm.sptes[0].pfn, host.kvm.sptes[0].private) == (1, False)
    with reported("warn-on"):
        host.kernel.set_spte(host.kvm, 0, 2, False)


@pytest.mark.parametrize("vm_type", [KVM_X86_SW_PROTECTED_VM, KVM_X86_TDX_VM])
def test_munmap_zaps_shared_mappings(make_host: MakeHost, vm_type: int) -> None:
    """The notifiers' filter is for shared memory; it spares private memory that has a root of its own."""
    private_host = make_host(vm_type=vm_type)
    gmem_slot(private_host, 0)
    private_host.kernel.set_memory_attributes(private_host.kvm, 0, 1, True)
    access(private_host, 0, private=True)
    access(private_host, 1)
    for number in range(2):
        private_host.kernel.vm_munmap(private_host.mm, HVA + (number << 12))
    kept = private_host.kvm.sptes[0].pfn >= 0
    assert (kept, private_host.kvm.sptes[1].pfn) == (vm_type == KVM_X86_TDX_VM, -1)


def test_guest_reaches_a_freed_page(host: Host) -> None:
    host.add_slot()
    access(host)
    host.page(HVA).free = True
    with reported("stale-spte"), srcu_read_lock(host.kvm.srcu):
        host.kernel.guest_access(host.kvm, 0)
