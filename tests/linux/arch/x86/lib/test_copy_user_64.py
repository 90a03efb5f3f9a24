# SPDX-License-Identifier: GPL-2.0-only
"""Access to user addresses: a fault is repaired, or the access fails."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.sched import current
from tests.linux.conftest import HVA, Host, reported


def test_bytes_go_where_the_page_table_says(host: Host) -> None:
    assert host.kernel.copy_to_user(HVA + 0x10, b"hello")  # faults the page in
    assert bytes(host.page(HVA).host_bytes[0xF:0x16]) == b"\0hello\0"
    assert host.kernel.copy_from_user(HVA + 0x11, 3)
    assert host.kernel.host_get(HVA + 0x11, 3) == b"ell"
    assert host.page(HVA).refcount == 1


def test_no_mapping(host: Host) -> None:
    assert not host.kernel.copy_to_user(HVA - 0x1000, b"x")
    assert not host.kernel.copy_from_user(HVA - 0x1000, 1)


def test_readonly_memory(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert host.kernel.copy_from_user(HVA, 1)
    assert not host.kernel.copy_to_user(HVA, b"x")
    assert host.page(HVA).host_bytes[0] == 0


def test_no_process(host: Host) -> None:
    current().mm = None
    assert not host.kernel.copy_from_user(HVA, 1)


@pytest.mark.parametrize("mapped", [False, True])
def test_with_page_faults_disabled(host: Host, mapped: bool) -> None:
    if mapped:
        host.kernel.do_user_addr_fault(host.mm, HVA)
    current().pagefault_disabled = True
    assert host.kernel.copy_to_user(HVA, b"x") is mapped
    assert (host.mm.ptes[HVA >> 12].pfn >= 0) is mapped


def test_a_fault_in_atomic_context(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    current().preempt_count = 1
    assert host.kernel.copy_to_user(HVA, b"x")  # no fault, no sleep
    with reported("sleeping-in-atomic"):
        host.kernel.copy_to_user(HVA + 0x1000, b"x")


def test_a_pte_that_outlives_its_page(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.page(HVA).free = True
    with reported("use-after-free"):
        host.kernel.copy_from_user(HVA, 1)


def test_a_page_that_is_assigned_to_a_guest(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.page(HVA).rmp_private = True
    assert host.kernel.copy_from_user(HVA, 1)  # reads ciphertext
    with reported("private-access"):
        host.kernel.copy_to_user(HVA, b"x")


def test_device_memory(host: Host) -> None:
    host.map_device(HVA, 100)
    assert host.kernel.copy_to_user(HVA + 2, b"hello")
    assert host.kernel.copy_from_user(HVA + 2, 5)
    assert host.kernel.host_get(HVA + 2, 5) == b"hello"
