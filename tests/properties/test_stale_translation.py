# SPDX-License-Identifier: GPL-2.0-only
"""stale-translation: a valid cache that a lookup no longer agrees with."""

from __future__ import annotations

from pfncache.linux.include.linux.mm_types import Page
from tests.linux.conftest import HVA, Host, reported
from tests.properties.conftest import clock_on


def replace_behind_kvms_back(host: Host) -> Page:
    """Change the PTE without a notification; the old page stays allocated."""
    old = host.kernel.clear_pte(host.mm, HVA >> 12)
    assert old is not None
    host.kernel.do_user_addr_fault(host.mm, HVA)
    return old


def test_another_page_is_there_now(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    assert replace_behind_kvms_back(host) is not host.page(HVA)
    with reported("stale-translation"):
        host.kernel.access_khva(host.gpc, True)


def test_no_page_is_there_now(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.clear_pte(host.mm, HVA >> 12)
    with reported("stale-translation"):
        host.kernel.access_khva(host.gpc, False)


def test_the_same_page_of_another_owner(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    old = host.kernel.clear_pte(host.mm, HVA >> 12)
    assert old is not None
    host.kernel.put_page(old)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert host.page(HVA) is old
    with reported("stale-translation"):
        host.kernel.access_khva(host.gpc, True)


def test_another_offset(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.gpc.khva += 8
    with reported("stale-translation"):
        host.kernel.access_khva(host.gpc, True)


def test_a_change_that_kvm_was_told_of(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.madvise_dontneed(host.mm, HVA)
    host.kernel.run_clock_update(host.vcpu)
    assert host.kernel.access_khva(host.gpc, True) == host.page(HVA).pfn


def test_a_neighbours_change(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.do_user_addr_fault(host.mm, HVA + 0x1000)
    host.kernel.clear_pte(host.mm, (HVA >> 12) + 1)
    assert host.kernel.access_khva(host.gpc, True) == host.page(HVA).pfn


def test_a_page_that_became_read_only(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.mm.ptes[HVA >> 12].writable = False
    with reported("stale-translation"):
        host.kernel.access_khva(host.gpc, True)


def test_a_page_that_became_read_only_and_kvm_was_notified(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert not host.gpc.valid
