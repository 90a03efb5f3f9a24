# SPDX-License-Identifier: GPL-2.0-only
"""mm/shmem.c: pages of a memfd are allocated and punched out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost


def test_allocate_needs_memory(host: Host) -> None:
    pages = len(host.kernel.mem_map)
    mapping = host.kernel.new_memfd("memfd", pages + 1)
    assert host.kernel.allocate_memfd_pages(mapping, 0, pages) == 0
    assert host.kernel.allocate_memfd_pages(mapping, pages, pages + 1) == -ENOMEM
    assert host.kernel.punch_hole_in_memfd(mapping, 0, pages + 1) == 0
    assert all(page.free for page in host.kernel.mem_map)


def test_fault_behind_the_end(host: Host) -> None:
    host.kernel.vm_mmap_pgoff(host.mm, HVA, host.kernel.new_memfd("memfd", 1), 1)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) != 0
    assert isinstance(host.kernel, Vmlinux)


def test_growing_is_not_modelled(host: Host) -> None:
    assert host.kernel.shmem_fallocate(host.kernel.new_memfd("memfd", 1), 0, 0, 0x2000) == -EINVAL


NUMBER = HVA >> 12


def test_punch_hole_of_a_memfd(host: Host) -> None:
    memfd = host.kernel.new_memfd("memfd", 2)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 1)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert host.kernel.punch_hole_in_memfd(memfd, 0, 1) == 0
    assert host.mm.ptes[NUMBER].pfn == 0
    assert host.kernel.punch_hole_in_memfd(memfd, 1, 2) == 0
    assert (host.mm.ptes[NUMBER].pfn, memfd.i_pages[1].page, memfd.i_rwsem.writer) == (-1, None, False)


class Punching(Vmlinux):
    """Notes the notifications of a punch, with what is held and published then."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.seen: list[tuple[bool, bool, bool]] = []
        self.at_end: Callable[[], object] = lambda: None

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        super().kvm_mmu_notifier_invalidate_range_start(kvm, start, end)
        for mapping in self.mappings:
            page = mapping.i_pages[0].page
            held = page is not None and page.lock.held
            self.seen.append((mapping.i_rwsem.writer, mapping.i_private.has(0), held))

    def kvm_mmu_notifier_invalidate_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        super().kvm_mmu_notifier_invalidate_range_end(kvm, start, end)
        self.at_end()


def mapped(make_host: MakeHost) -> tuple[Punching, Host, AddressSpace]:
    """A host with a memfd of one page, mapped at HVA."""
    host = make_host(Punching)
    kernel = host.kernel
    assert isinstance(kernel, Punching)
    kernel.vm_mmap_pgoff(host.mm, HVA, None, 0)
    memfd = kernel.new_memfd("memfd", 1)
    kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 0)
    kernel.seen.clear()
    return kernel, host, memfd


@pytest.mark.parametrize("present", [False, True])
def test_punch_notifies_once_without_the_folio_lock(make_host: MakeHost, present: bool) -> None:
    """Whether or not a PTE is present: unmap_mapping_range() looks at VMAs."""
    kernel, host, memfd = mapped(make_host)
    if present:
        kernel.do_user_addr_fault(host.mm, HVA)
    assert kernel.punch_hole_in_memfd(memfd, 0, 1) == 0
    assert kernel.seen == [(True, True, False)]
    assert (memfd.i_private.has(0), memfd.i_rwsem.writer, memfd.i_pages[0].page) == (False, False, None)


def test_punch_unmaps_again_what_was_mapped_meanwhile(make_host: MakeHost) -> None:
    """By a fault that had looked for a hole before the punch began; under the folio lock now."""
    kernel, host, memfd = mapped(make_host)
    kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)

    def map_again() -> None:
        kernel.at_end = lambda: None
        kernel.get_page(page)
        kernel.set_pte_range(host.mm, NUMBER, page, True)

    kernel.at_end = map_again
    assert kernel.punch_hole_in_memfd(memfd, 0, 1) == 0
    assert kernel.seen == [(True, True, False), (True, True, True)]
    assert (host.mm.ptes[NUMBER].pfn, page.free) == (-1, True)


def test_faults_in_the_hole_wait_without_mmap_lock(make_host: MakeHost) -> None:
    _, host, memfd = mapped(make_host)
    memfd.i_private.begin(0, 1)
    with pytest.raises(WouldBlock):
        host.kernel.do_user_addr_fault(host.mm, HVA)
    assert (host.mm.mmap_lock.readers, host.mm.mmap_lock.writer, memfd.i_pages[0].page) == (0, False, None)


def test_faults_beside_the_hole_do_not_wait(host: Host) -> None:
    memfd = host.kernel.new_memfd("memfd", 2)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 1)
    memfd.i_private.begin(0, 1)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0


@pytest.mark.parametrize("operation", ["punch_hole_in_memfd", "allocate_memfd_pages"])
def test_fallocate_holds_the_lock_of_the_inode(host: Host, operation: str) -> None:
    memfd = host.kernel.new_memfd("memfd", 1)
    memfd.i_rwsem.lock()
    with pytest.raises(WouldBlock):
        getattr(host.kernel, operation)(memfd, 0, 1)
