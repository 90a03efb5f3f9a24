# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/mm/tlb.c: what a TLB has that page tables have lost, and when it goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pfncache.designs.catalogue import DESIGNS
from tests.linux.conftest import HVA, Host, MakeHost

NUMBER = HVA >> 12


@pytest.fixture
def tlbs(host: Host) -> Host:
    """A VM with a page of memory, on a kernel whose TLBs are modelled."""
    host.kernel.tlbs = True
    host.add_slot()
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    return host


def tlb(host: Host) -> tuple[int, bool]:
    """The pfn and the permission to write that a TLB has for the user's page."""
    pte = host.mm.ptes[NUMBER]
    return pte.tlb, pte.tlb_writable


def test_a_pte_that_goes_stays_in_the_tlb_until_a_flush(tlbs: Host) -> None:
    pfn = tlbs.mm.ptes[NUMBER].pfn
    tlbs.kernel.clear_pte(tlbs.mm, NUMBER)
    assert tlb(tlbs) == (pfn, True)
    tlbs.kernel.flush_tlb_range(tlbs.mm, HVA + 0x1000, HVA + 0x2000)
    assert tlb(tlbs) == (pfn, True)
    tlbs.kernel.flush_tlb_range(tlbs.mm, HVA, HVA + 0x1000)
    assert tlb(tlbs) == (-1, False)


def test_without_tlbs_nothing_stays(host: Host) -> None:
    host.add_slot()
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.clear_pte(host.mm, NUMBER)
    assert tlb(host) == (-1, False)


def test_permission_to_write_stays_as_long(tlbs: Host) -> None:
    pfn = tlbs.mm.ptes[NUMBER].pfn
    tlbs.kernel.load_tlb(tlbs.mm, NUMBER)
    tlbs.mm.ptes[NUMBER].writable = False
    tlbs.kernel.clear_pte(tlbs.mm, NUMBER)
    assert tlb(tlbs) == (pfn, True)


def test_prot_none_is_in_no_tlb(tlbs: Host) -> None:
    tlbs.kernel.do_mprotect_pkey(tlbs.mm, HVA, False, readable=False)
    tlbs.kernel.clear_pte(tlbs.mm, NUMBER)
    assert tlb(tlbs) == (-1, False)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("madvise_dontneed", (HVA,)), ("vm_munmap", (HVA,)), ("migrate_pages", (HVA,)),
        ("do_mprotect_pkey", (HVA, False)), ("do_mremap", (HVA, HVA + 0x4000)),
    ],
)  # fmt: skip
def test_operations_flush_before_they_end(
    tlbs: Host, monkeypatch: pytest.MonkeyPatch, name: str, args: tuple[object, ...]
) -> None:
    flushed = []

    def recorded(flush: Callable[..., None]) -> Callable[..., None]:
        def record(*args: object) -> None:
            flushed.append(tlb(tlbs))
            flush(*args)

        return record

    for flush in ("flush_tlb_mm_range", "arch_tlbbatch_flush"):
        monkeypatch.setattr(tlbs.kernel, flush, recorded(getattr(tlbs.kernel, flush)))
    pfn = tlbs.mm.ptes[NUMBER].pfn
    assert getattr(tlbs.kernel, name)(tlbs.mm, *args) == 0
    assert flushed[0] == (pfn, True)
    assert tlb(tlbs) == (-1, False)


def test_the_guest_keeps_an_spte_until_a_flush(tlbs: Host) -> None:
    assert tlbs.kernel.run_guest_access(tlbs.vcpu, 0, False) == 0
    pfn = tlbs.kvm.sptes[0].pfn
    tlbs.kernel.zap_spte(tlbs.kvm, 0, True, True)
    assert (tlbs.kvm.sptes[0].pfn, tlbs.kvm.sptes[0].tlb) == (-1, pfn)
    tlbs.kernel.flush_if(tlbs.kvm, False)
    assert tlbs.kvm.sptes[0].tlb == pfn
    tlbs.kernel.flush_if(tlbs.kvm, True)
    assert tlbs.kvm.sptes[0].tlb == -1


def test_the_direct_map_is_flushed_by_who_removes_a_page(make_host: MakeHost) -> None:
    host = make_host(DESIGNS["no-direct-map"].kernel())
    host.kernel.tlbs = True
    page = host.kernel.mem_map[3]
    address = host.kernel.PAGE_OFFSET + (3 << 12)
    host.kernel.set_direct_map_invalid_noflush(page)
    assert page.direct_map_tlb
    host.kernel.flush_tlb_kernel_range(address + 0x1000, address + 0x2000)
    assert page.direct_map_tlb
    host.kernel.flush_tlb_kernel_range(address, address + 0x1000)
    assert not page.direct_map_tlb


def test_an_address_of_vmalloc_space_is_flushed_before_it_is_used_again(host: Host) -> None:
    kernel = host.kernel
    kernel.tlbs = True
    for _ in range(len(kernel.vmap_areas)):
        kernel.vunmap(kernel.vmap(kernel.mem_map[3]))
    assert {area.tlb for area in kernel.vmap_areas} == {3}
    kernel.vmap(kernel.mem_map[4])
    assert [area.tlb for area in kernel.vmap_areas[:2]] == [-1, 3]
