# SPDX-License-Identifier: GPL-2.0-only
"""mm/shmem.c: pages of a memfd are allocated and punched out."""

from __future__ import annotations

from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host


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
    assert (host.mm.ptes[NUMBER].pfn, memfd.i_pages[1].page, memfd.invalidate_lock.writer) == (-1, None, False)
