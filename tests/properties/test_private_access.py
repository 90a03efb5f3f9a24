# SPDX-License-Identifier: GPL-2.0-only
"""private-access: KVM maps or touches private memory, on whatever type of VM."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import rfc_v4, rfc_v4_fixed
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_MMAP, KVM_X86_SW_PROTECTED_VM
from tests.linux.conftest import HVA, Host, MakeHost, reported
from tests.properties.conftest import MAPPABLE, clock_on, gmem_slot, watched


def gmem_page(host: Host, flags: int) -> Page:
    """A page of a guest_memfd; whoever wants it may have it."""
    page = host.kernel.filemap_grab_folio(gmem_slot(host, flags).f_mapping, 0)
    assert page is not None
    page.lock.unlock()
    return page


@pytest.mark.parametrize("flags", [0, GUEST_MEMFD_FLAG_MMAP])
def test_access_through_the_direct_map(host: Host, flags: int) -> None:
    page = gmem_page(host, flags)
    with reported("private-access"):
        host.kernel.kernel_access(host.kernel.kmap(page), False)


def test_access_through_a_user_address(host: Host) -> None:
    page = gmem_page(host, 0)
    host.kernel.set_pte_range(host.mm, HVA >> 12, page, True)
    with reported("private-access"):
        host.kernel.copy_from_user(HVA, 1)


def test_kernel_mapping(make_host: MakeHost) -> None:
    host = watched(make_host, rfc_v4, KVM_X86_SW_PROTECTED_VM)
    gmem_slot(host, 0)
    host.kvm.mem_attr_array[0].private = True
    with reported("private-access"):
        host.kernel.set_msr_system_time(host.vcpu, 0, True)


def test_shared_guest_memfd_may_be_touched(host: Host) -> None:
    page = gmem_page(host, MAPPABLE)
    assert host.kernel.kernel_access(host.kernel.kmap(page), True) == page.pfn
    host.kernel.set_pte_range(host.mm, HVA >> 12, page, True)
    assert host.kernel.copy_to_user(HVA, b"x")


def test_refused_private_memory_is_not_touched(make_host: MakeHost) -> None:
    host = watched(make_host, rfc_v4_fixed, KVM_X86_SW_PROTECTED_VM)
    gmem_slot(host, 0)
    host.kernel.set_memory_attributes(host.kvm, 0, 1, True)
    clock_on(host)
    assert (host.gpc.active, host.gpc.valid) == (True, False)
