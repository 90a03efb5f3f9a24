# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/mm/fault.c: accesses through kernel addresses, and page faults."""

from __future__ import annotations

import pytest

from pfncache.linux.include.uapi.linux.errno import EFAULT
from tests.linux.conftest import HVA, Host, reported


@pytest.fixture
def pfn(host: Host) -> int:
    """A page that is in use."""
    page = host.kernel.alloc_page()
    assert page is not None
    return page.pfn


def direct(host: Host, pfn: int) -> int:
    return host.kernel.PAGE_OFFSET + (pfn << 12) + 0x18


def test_both_addresses_reach_the_page(host: Host, pfn: int) -> None:
    alias = host.kernel.vmap(host.kernel.mem_map[pfn]) + 0x18
    assert host.kernel.kernel_access(direct(host, pfn), True) == pfn
    assert host.kernel.kernel_access(alias, False) == pfn
    host.kernel.host_kernel_bytes(alias)[:3] = b"abc"
    assert bytes(host.kernel.mem_map[pfn].host_bytes[0x17:0x1C]) == b"\0abc\0"
    assert bytes(host.kernel.host_kernel_bytes(direct(host, pfn))[:3]) == b"abc"
    assert len(host.kernel.host_kernel_bytes(alias)) == 4096 - 0x18


@pytest.mark.parametrize("address", [0, 0x18, 0x4000])
def test_below_the_kernel(host: Host, address: int) -> None:
    with reported("null-dereference"):
        host.kernel.kernel_access(address, False)


def test_free_page(host: Host, pfn: int) -> None:
    alias = host.kernel.vmap(host.kernel.mem_map[pfn])
    host.kernel.put_page(host.kernel.mem_map[pfn])
    for address in (direct(host, pfn), alias):
        with reported("use-after-free"):
            host.kernel.kernel_access(address, False)


def test_no_direct_map(host: Host, pfn: int) -> None:
    page = host.kernel.mem_map[pfn]
    alias = host.kernel.vmap(page)
    host.kernel.set_direct_map_invalid_noflush(page)
    with reported("unmapped-access"):
        host.kernel.kernel_access(direct(host, pfn), False)
    assert host.kernel.kernel_access(alias, True) == pfn


def test_unmapped_alias(host: Host, pfn: int) -> None:
    alias = host.kernel.vmap(host.kernel.mem_map[pfn])
    host.kernel.vunmap(alias)
    with reported("unmapped-access"):
        host.kernel.kernel_access(alias, False)


def test_page_that_is_assigned_to_a_guest(host: Host, pfn: int) -> None:
    host.kernel.mem_map[pfn].rmp_private = True
    assert host.kernel.kernel_access(direct(host, pfn), False) == pfn
    with reported("private-access"):
        host.kernel.kernel_access(direct(host, pfn), True)


def test_device_memory(host: Host) -> None:
    khva = host.kernel.memremap(100) + 4
    assert host.kernel.kernel_access(khva, True) == 100
    host.kernel.host_kernel_bytes(khva)[:2] = b"ab"
    assert bytes(host.kernel.host_kernel_bytes(khva - 4)[3:7]) == b"\0ab\0"


def test_clear_highpage(host: Host, pfn: int) -> None:
    page = host.kernel.mem_map[pfn]
    page.host_bytes[:] = b"\x11" * 4096
    host.kernel.clear_highpage(page)
    assert bytes(page.host_bytes) == bytes(4096)
    host.kernel.set_direct_map_invalid_noflush(page)
    with reported("unmapped-access"):
        host.kernel.clear_highpage(page)
    host.kernel.set_direct_map_default_noflush(page)
    host.kernel.put_page(page)
    with reported("use-after-free"):
        host.kernel.clear_highpage(page)


NUMBER = HVA >> 12


def test_touch(host: Host) -> None:
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.kernel.do_user_addr_fault(host.mm, HVA - 0x1000) == -EFAULT


def test_touch_of_readonly_memory_faults(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == -EFAULT
    host.kernel.do_mprotect_pkey(host.mm, HVA, True)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert (host.page(HVA), host.mm.ptes[NUMBER].writable) == (page, True)
