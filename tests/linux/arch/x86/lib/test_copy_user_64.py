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


@pytest.mark.parametrize("context", ["preempt_count", "irqs_disabled", "interruptible"])
def test_a_copy_in_atomic_context(host: Host, context: str) -> None:
    """might_fault() comes first, whether or not there is a fault, unless page faults are disabled."""
    host.kernel.do_user_addr_fault(host.mm, HVA)
    setattr(current(), context, 1)
    with reported("sleeping-in-atomic"):
        host.kernel.copy_to_user(HVA, b"x")
    with reported("sleeping-in-atomic"):
        host.kernel.copy_from_user(HVA, 1)
    current().pagefault_disabled = True
    assert host.kernel.copy_to_user(HVA, b"x")


def test_a_fault_in_atomic_context_fails(host: Host) -> None:
    """Functions without might_fault() do not sleep there: do_user_addr_fault() refuses."""
    host.kernel.do_user_addr_fault(host.mm, HVA)
    current().preempt_count = 1
    for address, present in ((HVA, True), (HVA + 0x1000, False)):
        assert host.kernel.unsafe_put_user(address, b"x") is present
        assert host.kernel._try_cmpxchg_user(address) is present
    assert host.mm.ptes[(HVA >> 12) + 1].pfn == -1


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
