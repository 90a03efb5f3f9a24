# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory-failure.c: poisoned pages."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.types import Pgoff
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.include.uapi.linux.errno import EHWPOISON
from pfncache.linux.kernel.locking.rwsem import down_read
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

NUMBER = HVA >> 12


def fault(host: Host, write: bool = True, hva: int = HVA) -> int:
    with down_read(host.mm.mmap_lock):
        return host.kernel.handle_mm_fault(host.mm, hva, write)


def gmem(host: Host, flags: int = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED) -> File:
    """A guest_memfd of one page, mapped at HVA."""
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, flags)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    return file


def test_memory_failure_unmaps_and_keeps_the_page(host: Host) -> None:
    file = gmem(host)
    fault(host)
    page = host.page(HVA)
    host.kernel.memory_failure(host.mm, HVA, file.f_mapping, 0)
    assert (page.hwpoison, page.mapcount, page.refcount, page.lock.held) == (True, 0, 2, False)
    assert file.f_mapping.i_pages[0].page is page
    assert fault(host) == -EHWPOISON


def test_memory_failure_of_a_memfd(host: Host) -> None:
    memfd = host.kernel.new_memfd("memfd", 1)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 0)
    fault(host)
    page = host.page(HVA)
    host.kernel.memory_failure(host.mm, HVA, memfd, 0)
    assert (fault(host), page.refcount, page.lock.held) == (-EHWPOISON, 2, False)


def test_memory_failure_of_nothing(host: Host) -> None:
    file = gmem(host)
    host.kernel.memory_failure(host.mm, HVA, file.f_mapping, 0)
    assert all(page.free and not page.hwpoison for page in host.kernel.mem_map)


def test_memory_failure_walks_the_mappings_under_their_lock(host: Host) -> None:
    file = gmem(host)
    fault(host)
    file.f_mapping.i_mmap_rwsem.writer = True
    with pytest.raises(WouldBlock):
        host.kernel.memory_failure(host.mm, HVA, file.f_mapping, 0)
    assert host.mm.ptes[NUMBER].pfn == 0


def test_a_page_fails_once(host: Host) -> None:
    """The second failure neither unmaps it nor notifies its owner, and takes no reference."""
    file = gmem(host)
    host.add_slot()
    fault(host)
    page = host.page(HVA)
    host.kernel.memory_failure(host.mm, HVA, file.f_mapping, 0)
    told = host.kvm.mmu_invalidate_seq
    host.kernel.set_pte_range(host.mm, NUMBER, page, True)
    host.kernel.memory_failure(host.mm, HVA, file.f_mapping, 0)
    assert (host.mm.ptes[NUMBER].pfn, page.refcount, host.kvm.mmu_invalidate_seq) == (page.pfn, 2, told)


def test_a_poisoned_page_is_not_freed(host: Host) -> None:
    """Not even by a punch: memory_failure() keeps its reference."""
    memfd = host.kernel.new_memfd("memfd", 1)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 0)
    fault(host)
    page = host.page(HVA)
    host.kernel.memory_failure(host.mm, HVA, memfd, 0)
    host.kernel.punch_hole_in_memfd(memfd, 0, 1)
    assert (page.refcount, page.free, memfd.i_pages[0].page) == (1, False, None)


class Truncating(Vmlinux):
    """The page is truncated before memory_failure() has its lock."""

    def get_hwpoison_page(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        page = super().get_hwpoison_page(mapping, index)
        if page is not None:
            self.punch_hole_in_memfd(mapping, 0, 1)
        return page


def test_a_page_that_is_truncated_meanwhile_stays_poisoned(make_host: MakeHost) -> None:
    host = make_host(Truncating)
    memfd = host.kernel.new_memfd("memfd", 1)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 0)
    fault(host)
    page = host.page(HVA)
    host.kernel.memory_failure(host.mm, HVA, memfd, 0)
    assert (page.hwpoison, page.refcount, page.lock.held, host.kernel.mf_mutex.held) == (True, 1, False, False)


def test_failures_are_handled_one_at_a_time(host: Host) -> None:
    file = gmem(host)
    fault(host)
    host.kernel.mf_mutex.lock()
    with pytest.raises(WouldBlock):
        host.kernel.memory_failure(host.mm, HVA, file.f_mapping, 0)
    assert not host.page(HVA).hwpoison
