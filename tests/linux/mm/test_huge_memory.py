# SPDX-License-Identifier: GPL-2.0-only
"""mm/huge_memory.c, and folios of order 1: faults, zaps of a part, collapse; what SPTEs make of it."""

from __future__ import annotations

import pytest

from pfncache.linux.arch.x86.include.asm.pgtable_types import PG_LEVEL_2M
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_SW_PROTECTED_VM
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

NUMBER = HVA >> 12


class Huge(Vmlinux):
    """A kernel with large folios and huge SPTEs."""

    def __init__(self) -> None:
        super().__init__()
        self.max_huge_page_level = PG_LEVEL_2M
        self.large_folios = True


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A VM on that kernel."""
    return make_host(Huge)


def ptes(host: Host) -> list[tuple[int, bool]]:
    return [(pte.pfn, pte.huge) for pte in host.mm.ptes[NUMBER : NUMBER + 4]]


def sptes(host: Host) -> list[tuple[int, bool]]:
    return [(spte.pfn, spte.huge) for spte in host.kvm.sptes[:4]]


def touch(host: Host, number: int = 0) -> None:
    assert host.kernel.do_user_addr_fault(host.mm, HVA + (number << 12)) == 0


def access(host: Host, gfn: int, private: bool = False) -> int:
    return host.kernel.run_guest_access(host.vcpu, gfn << 12, private)


def test_a_fault_maps_a_large_folio(host: Host) -> None:
    touch(host, 1)
    assert ptes(host) == [(0, True), (1, True), (-1, False), (-1, False)]
    first, second = host.kernel.mem_map[:2]
    assert [(p.refcount, p.mapcount, p.anon, p.compound, p.free) for p in (first, second)] == [
        (1, 1, True, True, False), (0, 1, True, True, False),
    ]  # fmt: skip
    assert host.kernel.page_folio(second) is first


def test_a_part_of_a_folio_goes(host: Host) -> None:
    touch(host)
    host.kernel.madvise_dontneed(host.mm, HVA)
    assert ptes(host)[:2] == [(-1, False), (1, False)]
    first, second = host.kernel.mem_map[:2]
    assert [(p.refcount, p.mapcount, p.free) for p in (first, second)] == [(1, 0, False), (0, 1, False)]
    # one invalidation for the whole range within that of the page
    assert host.kvm.gpc_invalidate_seq == 2
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert [(p.refcount, p.compound, p.free) for p in (first, second)] == [(0, False, True)] * 2


def test_a_whole_folio_goes(host: Host) -> None:
    touch(host)
    host.kernel.zap_pte_range(host.mm, HVA, HVA + 0x2000)
    assert ptes(host)[:2] == [(-1, False)] * 2
    assert all(page.free for page in host.kernel.mem_map)


def test_a_reference_on_one_page_keeps_both(host: Host) -> None:
    touch(host)
    second = host.kernel.mem_map[1]
    host.kernel.get_page(second)
    host.kernel.zap_pte_range(host.mm, HVA, HVA + 0x2000)
    assert (host.kernel.mem_map[0].refcount, second.free) == (1, False)
    host.kernel.put_page(second)
    assert second.free


@pytest.mark.parametrize("other", ["protected", "unmapped", "mapped"])
def test_where_no_pmd_is_possible(host: Host, other: str) -> None:
    if other == "protected":
        host.kernel.do_mprotect_pkey(host.mm, HVA + 0x1000, False)
    elif other == "unmapped":
        host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    else:
        touch(host)
        host.kernel.madvise_dontneed(host.mm, HVA)
    touch(host)
    assert not host.mm.ptes[NUMBER].huge
    assert host.mm.ptes[NUMBER].pfn >= 0


def test_protection_of_a_part_splits(host: Host) -> None:
    touch(host)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert [(pte.writable, pte.huge) for pte in host.mm.ptes[NUMBER : NUMBER + 2]] == [(False, False), (True, False)]
    assert host.kernel.mem_map[0].refcount == 2


def test_a_move_of_a_part_splits(host: Host) -> None:
    touch(host)
    assert host.kernel.do_mremap(host.mm, HVA, HVA + 0x3000) == 0
    assert ptes(host) == [(-1, False), (1, False), (-1, False), (0, False)]


def test_large_folios_are_not_migrated(host: Host) -> None:
    touch(host)
    assert host.kernel.migrate_pages(host.mm, HVA) == -EFAULT


def test_collapse_makes_a_pmd(host: Host) -> None:
    host.kernel.large_folios = False
    touch(host)
    touch(host, 1)
    host.kernel.large_folios = True
    assert host.kernel.collapse_huge_page(host.mm, HVA + 0x1000) == 0
    assert ptes(host)[:2] == [(2, True), (3, True)]
    assert [page.free for page in host.kernel.mem_map[:4]] == [True, True, False, False]
    assert host.kernel.mem_map[2].refcount == 1
    assert host.kernel.collapse_huge_page(host.mm, HVA) == -EAGAIN  # a large folio already
    assert host.kernel.mem_map[2].lock.held is False


# SPTEs


def test_the_guest_gets_a_huge_page(host: Host) -> None:
    host.add_slot()
    touch(host)
    assert access(host, 1) == 0
    assert sptes(host) == [(0, True), (1, True), (-1, False), (-1, False)]
    assert access(host, 2) == 0  # faults a large folio in
    assert sptes(host)[2:] == [(2, True), (3, True)]
    host.kernel.madvise_dontneed(host.mm, HVA + 0x1000)
    assert sptes(host) == [(-1, False), (-1, False), (2, True), (3, True)]
    assert access(host, 0) == 0
    assert sptes(host)[:2] == [(0, False), (-1, False)]


@pytest.mark.parametrize(("base", "npages", "number"), [(1, 3, 1), (0, 1, 0), (0, 3, 1)])
def test_slots_that_cannot_have_it(host: Host, base: int, npages: int, number: int) -> None:
    """The slot begins or ends within the huge page, or its user address has another last bit than its gfn."""
    host.add_slot(base_gfn=base, npages=npages, hva=HVA + (number << 12))
    touch(host, number)
    assert access(host, base) == 0
    assert not any(spte.huge for spte in host.kvm.sptes)


def test_logging_splits_and_recovers(host: Host) -> None:
    host.add_slot()
    assert access(host, 0) == 0
    host.add_slot(log_dirty=True)
    assert sptes(host)[:2] == [(0, False), (1, False)]
    assert access(host, 2) == 0
    assert sptes(host)[2:] == [(2, False), (-1, False)]
    host.add_slot()
    assert sptes(host) == [(0, True), (1, True), (2, True), (3, True)]


def test_conversion_of_a_part(make_host: MakeHost) -> None:
    host = make_host(Huge, KVM_X86_SW_PROTECTED_VM)
    host.add_slot()
    assert access(host, 0) == 0
    assert sptes(host)[:2] == [(0, True), (1, True)]
    assert host.kernel.set_memory_attributes(host.kvm, 1, 3, True) == 0
    assert [info.mixed for info in host.slot().lpage_info[:2]] == [True, True]
    assert sptes(host)[:2] == [(-1, False), (-1, False)]
    assert access(host, 0) == 0
    assert sptes(host)[:2] == [(0, False), (-1, False)]
    assert host.kernel.set_memory_attributes(host.kvm, 1, 2, False) == 0
    assert [info.mixed for info in host.slot().lpage_info[:2]] == [False, True]
    assert access(host, 1) == 0
    assert sptes(host)[:2] == [(0, True), (1, True)]


def test_a_new_slot_looks_at_the_attributes(make_host: MakeHost) -> None:
    host = make_host(Huge, KVM_X86_SW_PROTECTED_VM)
    host.kernel.set_memory_attributes(host.kvm, 1, 2, True)
    host.add_slot()
    assert [info.mixed for info in host.slot().lpage_info[:2]] == [True, False]


def test_faults_at_the_other_gfns_of_a_huge_page_wait(make_host: MakeHost) -> None:
    host = make_host(Huge, KVM_X86_SW_PROTECTED_VM)
    host.add_slot()
    kvm = host.kvm
    for mixed, expected in ((False, (0, 2)), (True, (1, 2))):
        host.slot().lpage_info[0].mixed = mixed
        with mutex(kvm.slots_lock):
            host.kernel.handle_gfn_range_start(kvm, 1, 2, True)
            assert (kvm.mmu_invalidate_range_start, kvm.mmu_invalidate_range_end) == expected
            host.kernel.handle_gfn_range_end(kvm, 1, 2)
