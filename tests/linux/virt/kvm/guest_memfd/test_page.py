# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_MMAP,
    KVM_X86_SW_PROTECTED_VM,
)
from pfncache.linux.include.uapi.linux.errno import EFAULT
from tests.linux.conftest import HVA, Host, MakeHost
from tests.linux.virt.kvm.guest_memfd.helpers import MAPPABLE, cached, get_pfn, gmem_slot


def test_get_pfn_allocates_zeroes_and_returns_a_reference(host: Host) -> None:
    file = gmem_slot(host)
    pfn = get_pfn(host, 2)
    page = host.kernel.mem_map[pfn]
    assert cached(file) == [None, None, pfn, None]
    assert (page.refcount, page.uptodate, page.lock.held, page.index) == (2, True, False, 2)
    assert bytes(page.host_bytes) == bytes(4096)
    assert get_pfn(host, 2) == pfn
    assert file.f_count == 1


def test_get_pfn_of_another_slots_page_fails(host: Host) -> None:
    file = gmem_slot(host)
    file.private_data.bindings[2].slot = None
    assert get_pfn(host, 2) == KVM_PFN_ERR_FAULT
    assert cached(file) == [None] * 4


def test_private_memory_cannot_be_touched(make_host: MakeHost) -> None:
    host = make_host(vm_type=KVM_X86_SW_PROTECTED_VM)
    file = gmem_slot(host, GUEST_MEMFD_FLAG_MMAP)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == -EFAULT
    assert cached(file) == [None] * 4


def test_fault_past_the_end(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, MAPPABLE)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == -EFAULT
