# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory.c: faults and zapping."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_RO_FAULT
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL, ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_read
from tests.linux.conftest import HVA, Host

NUMBER = HVA >> 12


def fault(host: Host, write: bool = True, hva: int = HVA) -> int:
    with down_read(host.mm.mmap_lock):
        return host.kernel.handle_mm_fault(host.mm, hva, write)


def gmem(host: Host, flags: int = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED) -> File:
    """A guest_memfd of one page, mapped at HVA."""
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, flags)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    return file


def test_anonymous_memory_is_zeroed(host: Host) -> None:
    host.kernel.mem_map[0].host_bytes[:] = b"\x55" * 4096
    assert fault(host) == 0
    page = host.page(HVA)
    assert (page.pfn, page.anon, page.refcount, page.mapcount) == (0, True, 1, 1)
    assert (bytes(page.host_bytes), host.mm.ptes[NUMBER].writable) == (bytes(4096), True)
    assert fault(host) == 0
    assert host.page(HVA) is page


@pytest.mark.parametrize("write", [False, True])
def test_fault_where_nothing_is_mapped(host: Host, write: bool) -> None:
    assert fault(host, write, HVA - 0x1000) == -EFAULT


def test_protection(host: Host) -> None:
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert (fault(host), fault(host, write=False)) == (-EFAULT, 0)
    assert not host.mm.ptes[NUMBER].writable
    host.kernel.do_mprotect_pkey(host.mm, HVA, True)
    assert fault(host) == 0
    assert host.mm.ptes[NUMBER].writable
    host.mm.vmas[NUMBER].readable = False
    assert fault(host, write=False) == -EFAULT


def test_fault_of_device_memory(host: Host) -> None:
    host.map_device(HVA, 100)
    assert fault(host) == -EFAULT


def test_fault_without_memory(host: Host) -> None:
    while host.kernel.alloc_page() is not None:
        pass
    assert fault(host) == -ENOMEM


def test_shared_memory_is_one_page_for_all(host: Host) -> None:
    memfd = host.kernel.new_memfd("memfd", 2)
    for number in range(2):
        host.kernel.vm_mmap_pgoff(host.mm, HVA + (number << 12), memfd, 1)
        assert fault(host, hva=HVA + (number << 12)) == 0
    page = host.page(HVA)
    assert host.page(HVA + 0x1000) is page is memfd.i_pages[1].page
    assert (page.anon, page.refcount, page.mapcount, page.lock.held, page.uptodate) == (False, 3, 2, False, True)


def test_private_guest_memfd_is_sigbus(host: Host) -> None:
    gmem(host, GUEST_MEMFD_FLAG_MMAP)
    assert fault(host) == -EFAULT
    assert host.mm.ptes[NUMBER].pfn == -1


def test_zapping_gives_pages_back_between_the_notifications(host: Host) -> None:
    fault(host)
    page = host.page(HVA)
    host.kernel.zap_vma_range(host.mm, HVA, HVA + 0x1000)
    assert (host.mm.ptes[NUMBER].pfn, page.free, page.mapcount) == (-1, True, 0)
    assert (host.kvm.mn_active_invalidate_count, host.kvm.gpc_invalidate_seq) == (0, 1)


def test_zapping_keeps_to_its_range(host: Host) -> None:
    for number in range(3):
        fault(host, hva=HVA + (number << 12))
    host.kernel.zap_vma_range(host.mm, HVA + 0x1000, HVA + 0x2000)
    assert [host.mm.ptes[NUMBER + n].pfn for n in range(3)] == [0, -1, 2]


def test_zapping_device_memory_touches_no_page(host: Host) -> None:
    host.map_device(HVA, 100)
    assert host.kernel.clear_pte(host.mm, NUMBER) is None
    assert (host.mm.ptes[NUMBER].pfn, host.mm.ptes[NUMBER].writable) == (-1, False)


def test_unmapping_a_file_page_finds_each_process(host: Host) -> None:
    memfd = host.kernel.new_memfd("memfd", 2)
    other = host.kernel.new_mm("other")
    for mm, hva, index in ((host.mm, HVA, 0), (other, 0x1000, 0), (other, 0x2000, 1)):
        host.kernel.vm_mmap_pgoff(mm, hva, memfd, index)
        with down_read(mm.mmap_lock):
            host.kernel.handle_mm_fault(mm, hva, True)
    host.kernel.unmap_mapping_folio(memfd, 0)
    assert [host.mm.ptes[NUMBER].pfn, other.ptes[1].pfn, other.ptes[2].pfn] == [-1, -1, 1]


DEVICE_PFN = 100


def fast(host: Host, hva: int = HVA) -> int:
    return host.kernel.get_user_page_fast_only(hva)


def slow(host: Host, hva: int = HVA) -> int:
    return host.kernel.get_user_pages_unlocked(host.mm, hva)


def test_device_memory(host: Host) -> None:
    """GUP refuses VM_PFNMAP; follow_pfnmap_start() gives its pfn, and refuses all else."""
    host.kernel.do_user_addr_fault(host.mm, HVA + 0x1000)
    host.map_device(HVA, DEVICE_PFN)
    assert (fast(host), slow(host)) == (KVM_PFN_ERR_FAULT, KVM_PFN_ERR_FAULT)
    assert host.kernel.hva_to_pfn(HVA) == DEVICE_PFN
    with down_read(host.mm.mmap_lock):
        assert host.kernel.follow_pfnmap_start(host.mm, host.mm.vmas[(HVA >> 12) + 1], HVA) == (-EINVAL, -1, False)
        assert host.kernel.follow_pfnmap_start(host.mm, host.mm.vmas[HVA >> 12], HVA) == (0, DEVICE_PFN, True)
        host.kernel.follow_pfnmap_end(host.mm)
    host.mm.ptes[HVA >> 12].writable = False
    assert host.kernel.hva_to_pfn(HVA) == KVM_PFN_ERR_RO_FAULT
    host.mm.ptes[HVA >> 12].pfn = -1
    assert host.kernel.hva_to_pfn(HVA) == KVM_PFN_ERR_FAULT
    assert not host.mm.page_table_lock.held


def test_a_write_to_a_read_only_page_of_a_file_does_not_ask_the_file(host: Host) -> None:
    """The page may be private, or poisoned, by now: what unmaps it has not got there."""
    file = gmem(host)
    assert fault(host) == 0
    page = host.page(HVA)
    host.mm.ptes[NUMBER].writable = False
    file.f_mapping.gmem_flags = 0  # a fault of the file is SIGBUS
    assert fault(host) == 0
    assert (host.mm.ptes[NUMBER].writable, page.refcount, page.lock.held) == (True, 2, False)


def test_a_read_of_a_present_page_changes_nothing(host: Host) -> None:
    assert fault(host) == 0
    host.mm.ptes[NUMBER].writable = False
    assert fault(host, write=False) == 0
    assert not host.mm.ptes[NUMBER].writable
