# SPDX-License-Identifier: GPL-2.0-only
"""stale-tlb: a page is freed or copied, or all is done, while a flush is overdue."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Patch
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.vmlinux import Vmlinux
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.linux.conftest import HVA, Host, reported
from tests.properties.conftest import some_page

NUMBER = HVA >> 12


@pytest.fixture
def tlbs(host: Host) -> Host:
    host.kernel.tlbs = True
    host.add_slot()
    host.kernel.do_user_addr_fault(host.mm, HVA)
    return host


def test_freed_before_the_flush(tlbs: Host) -> None:
    page = tlbs.kernel.clear_pte(tlbs.mm, NUMBER)
    assert page is not None
    with reported("stale-tlb"):
        tlbs.kernel.put_page(page)


def test_freed_after_the_flush(tlbs: Host) -> None:
    page = tlbs.page(HVA)
    tlbs.kernel.zap_pte_range(tlbs.mm, HVA, HVA + 0x1000)
    assert page.free


def test_freed_while_a_guest_may_use_it(tlbs: Host) -> None:
    tlbs.kernel.run_guest_access(tlbs.vcpu, 0, False)
    tlbs.kernel.zap_spte(tlbs.kvm, 0, True, True)
    with reported("stale-tlb"):
        tlbs.kernel.zap_pte_range(tlbs.mm, HVA, HVA + 0x1000)


def test_copied_while_it_may_be_written(tlbs: Host) -> None:
    page, target = tlbs.page(HVA), some_page(tlbs)
    tlbs.kernel.set_migration_entry(tlbs.mm, NUMBER, page)
    with reported("stale-tlb"):
        tlbs.kernel.folio_mc_copy(target, page)


def test_copied_while_it_may_be_read(tlbs: Host) -> None:
    page, target = tlbs.page(HVA), some_page(tlbs)
    tlbs.mm.ptes[NUMBER].writable = False
    tlbs.kernel.set_migration_entry(tlbs.mm, NUMBER, page)
    tlbs.kernel.folio_mc_copy(target, page)
    assert tlbs.mm.ptes[NUMBER].tlb == page.pfn


@pytest.mark.parametrize("what", ["user", "guest", "direct map"])
def test_left_at_the_end(tlbs: Host, what: str) -> None:
    tlbs.kernel.trace_quiescent(tlbs.kvm)
    if what == "user":
        tlbs.mm.ptes[NUMBER].tlb = 1
    elif what == "guest":
        tlbs.kvm.sptes[0].tlb = 1
    else:
        tlbs.kernel.set_direct_map_invalid_noflush(tlbs.kernel.mem_map[5])
    with reported("stale-tlb"):
        tlbs.kernel.trace_quiescent(tlbs.kvm)


class FlushLater(Patch, Vmlinux):
    """KVM: drop mmu_lock between SPTEs, and flush once at the end."""

    def tdp_mmu_zap_leafs(self, kvm: Kvm, start: int, end: int, private: bool, shared: bool) -> bool:
        flush: bool = False
        for gfn in range(len(kvm.sptes)):
            if start <= gfn < end:
                if self.zap_spte(kvm, gfn, private, shared):
                    flush = True
                kvm.mmu_lock.write_unlock()
                kvm.mmu_lock.write_lock()
        return flush


class FreeBeforeFlush(Patch, Vmlinux):
    """mm: put a page, then flush the TLB."""

    def zap_pte_range(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        for number in range(len(mm.ptes)):
            if start <= number << self.PAGE_SHIFT < end:
                mm.page_table_lock.lock()
                page: Page | None = self.clear_pte(mm, number)
                mm.page_table_lock.unlock()
                if page is not None:
                    self.put_page(page)
                    self.flush_tlb_range(mm, start, end)


@pytest.mark.parametrize(
    ("patch", "scenario"),
    [(FlushLater, "tlb/guest-and-slot-delete"), (FreeBeforeFlush, "tlb/steal-time-and-munmap")],
)
def test_found_by_a_scenario_with_tlbs(patch: type[Patch], scenario: str) -> None:
    outcome = run(Job((mainline_7_3 + [patch]).named("late", patch.subject()), scenario, 300_000))
    assert (outcome.property, run(Job(mainline_7_3, scenario, 300_000)).property) == ("stale-tlb", None)
