# SPDX-License-Identifier: GPL-2.0-only
"""mm/mprotect.c: protection of user mappings."""

from __future__ import annotations

from pfncache.linux.include.uapi.linux.errno import ENOMEM
from tests.linux.conftest import HVA, Host

NUMBER = HVA >> 12


def notifications(host: Host) -> int:
    assert host.kvm.mn_active_invalidate_count == 0
    return host.kvm.gpc_invalidate_seq


def test_mprotect(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    pte, pfn = host.mm.ptes[NUMBER], host.mm.ptes[NUMBER].pfn
    assert host.kernel.do_mprotect_pkey(host.mm, HVA, False) == 0
    assert (pte.pfn, pte.writable) == (pfn, False)
    assert host.kernel.do_mprotect_pkey(host.mm, HVA, True) == 0
    assert (pte.pfn, pte.writable) == (pfn, True)
    assert notifications(host) == 2
    assert host.kernel.do_mprotect_pkey(host.mm, HVA - 0x1000, True) == -ENOMEM
    assert notifications(host) == 2


def test_a_page_of_a_file_becomes_writable_by_its_next_fault(host: Host) -> None:
    host.kernel.vm_mmap_pgoff(host.mm, HVA, host.kernel.new_memfd("memfd", 1), 0)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    host.kernel.do_mprotect_pkey(host.mm, HVA, True)
    assert not host.mm.ptes[NUMBER].writable
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.mm.ptes[NUMBER].writable


def test_the_same_protection_again_is_no_invalidation(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert host.kernel.do_mprotect_pkey(host.mm, HVA, True) == 0
    assert notifications(host) == 0
    for _ in range(2):
        assert host.kernel.do_mprotect_pkey(host.mm, HVA, False) == 0
    assert notifications(host) == 1


def test_prot_none_is_present_for_the_kernel_alone(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False, False)
    assert host.page(HVA) is page
    assert not host.kernel.copy_from_user(HVA, 1)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False, True)
    assert host.kernel.copy_from_user(HVA, 1)
    assert not host.kernel.copy_to_user(HVA, b"x")
