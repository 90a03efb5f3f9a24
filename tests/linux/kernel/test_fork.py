# SPDX-License-Identifier: GPL-2.0-only
"""kernel/fork.c, mm/mmap.c and mm/memory.c: fork(), and copy on write."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.include.uapi.linux.errno import ENOMEM
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

NUMBER = HVA >> 12


def touch(host: Host, text: bytes = b"old") -> Page:
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    host.page(HVA).host_bytes[:3] = text
    return host.page(HVA)


def fork(host: Host) -> MmStruct:
    child = host.kernel.new_mm("child")
    assert host.kernel.kernel_clone(host.mm, child) == 0
    return child


def child_page(host: Host, child: MmStruct) -> Page:
    return host.kernel.mem_map[child.ptes[NUMBER].pfn]


def counts(page: Page) -> tuple[int, int, int, bool]:
    return page.refcount, page.mapcount, page.pincount, page.anon_shared


def test_the_processes_share_a_page_that_neither_may_write(host: Host) -> None:
    page = touch(host)
    child = fork(host)
    assert child_page(host, child) is page
    assert [mm.ptes[NUMBER].writable for mm in (host.mm, child)] == [False, False]
    assert counts(page) == (2, 2, 0, True)
    assert (host.kvm.gpc_invalidate_seq, host.kvm.mn_active_invalidate_count) == (4, 0)  # one for each page
    assert host.mm.write_protect_seq == 8
    assert not host.mm.mmap_lock.writer
    assert not child.mmap_lock.writer


def test_pages_that_are_not_there_are_not_copied(host: Host) -> None:
    child = fork(host)
    assert [pte.pfn for pte in child.ptes] == [-1] * len(child.ptes)
    assert [vma.present for vma in child.vmas] == [vma.present for vma in host.mm.vmas]


@pytest.mark.parametrize("who", ["parent", "child"])
def test_a_write_copies_the_page(host: Host, who: str) -> None:
    page = touch(host)
    child = fork(host)
    writer, other = (host.mm, child) if who == "parent" else (child, host.mm)
    sequence = host.kvm.gpc_invalidate_seq
    assert host.kernel.do_user_addr_fault(writer, HVA) == 0
    new = host.kernel.mem_map[writer.ptes[NUMBER].pfn]
    assert new is not page
    assert host.kernel.mem_map[other.ptes[NUMBER].pfn] is page
    assert bytes(new.host_bytes[:3]) == b"old"
    assert (new.anon, *counts(new)) == (True, 1, 1, 0, False)
    assert counts(page) == (1, 1, 0, True)
    assert [writer.ptes[NUMBER].writable, other.ptes[NUMBER].writable] == [True, False]
    assert host.kvm.gpc_invalidate_seq - sequence == (1 if who == "parent" else 0)


def test_the_last_process_keeps_the_page(host: Host) -> None:
    page = touch(host)
    child = fork(host)
    host.kernel.exit_mmap(child)
    sequence = host.kvm.gpc_invalidate_seq
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.page(HVA) is page
    assert (counts(page), host.mm.ptes[NUMBER].writable) == ((1, 1, 0, False), True)
    assert host.kvm.gpc_invalidate_seq == sequence


def test_a_page_in_use_is_copied_even_for_the_last_process(host: Host) -> None:
    page = touch(host)
    host.kernel.exit_mmap(fork(host))
    host.kernel.get_page(page)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.page(HVA) is not page


def test_a_locked_page_is_not_reused(host: Host) -> None:
    page = touch(host)
    host.kernel.exit_mmap(fork(host))
    page.lock.held = True
    assert not host.kernel.wp_can_reuse_anon_folio(page)
    assert (page.lock.held, page.anon_shared) == (True, True)
    page.lock.held = False
    assert host.kernel.wp_can_reuse_anon_folio(page)
    assert (page.lock.held, page.anon_shared) == (False, False)


def test_a_pinned_page_is_copied_for_the_child(host: Host) -> None:
    page = touch(host)
    assert host.kernel.pin_user_pages_fast(HVA) == page.pfn
    child = fork(host)
    new = child_page(host, child)
    assert new is not page
    assert bytes(new.host_bytes[:3]) == b"old"
    assert (new.anon, *counts(new)) == (True, 1, 1, 0, False)
    assert counts(page) == (2, 1, 1, False)
    assert [mm.ptes[NUMBER].writable for mm in (host.mm, child)] == [True, True]
    host.kernel.unpin_user_page(page)
    assert counts(page) == (1, 1, 0, False)


def test_fast_pins_wait_for_fork(host: Host) -> None:
    page = touch(host)
    host.mm.write_protect_seq = 1
    assert host.kernel.gup_fast(HVA) < 0
    assert host.kernel.get_user_page_fast_only(HVA) == page.pfn  # for a reference it does not matter
    assert counts(page) == (2, 1, 0, False)


def test_a_fast_pin_beside_fork_is_undone(make_host: MakeHost) -> None:
    class Forking(Vmlinux):
        def gup_fast_folio_allowed(self, page: Page) -> bool:
            host.mm.write_protect_seq += 2
            return super().gup_fast_folio_allowed(page)

    host = make_host(Forking)
    page = touch(host)
    assert host.kernel.gup_fast(HVA) < 0
    assert counts(page) == (1, 1, 0, False)
    assert host.kernel.pin_user_pages_fast(HVA) == page.pfn  # the slow way


def test_unpinned_twice(host: Host) -> None:
    page = touch(host)
    with reported("refcount-imbalance"):
        host.kernel.unpin_user_page(page)


def test_put_instead_of_unpinned(host: Host) -> None:
    page = touch(host)
    assert host.kernel.pin_user_pages_fast(HVA) == page.pfn
    host.kernel.madvise_dontneed(host.mm, HVA)
    with reported("bad-page"):
        host.kernel.put_page(page)


def test_madvise_dontfork(host: Host) -> None:
    page = touch(host)
    assert host.kernel.madvise_dontfork(host.mm, HVA) == 0
    assert host.kernel.madvise_dontfork(host.mm, 0x1000) == -ENOMEM
    child = fork(host)
    assert not child.vmas[NUMBER].present
    assert child.vmas[NUMBER + 1].present
    assert (counts(page), host.mm.ptes[NUMBER].writable) == ((1, 1, 0, False), True)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, None, 0)
    assert not host.mm.vmas[NUMBER].dontcopy


def test_read_only_memory_stays_shared_when_it_becomes_writable(host: Host) -> None:
    touch(host)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    fork(host)
    host.kernel.do_mprotect_pkey(host.mm, HVA, True)
    assert not host.mm.ptes[NUMBER].writable
    assert host.kernel.copy_to_user(HVA, b"new")
    assert bytes(host.page(HVA).host_bytes[:3]) == b"new"


def test_files_are_mapped_but_their_pages_are_not_copied(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    page = touch(host)
    references = file.f_count
    child = fork(host)
    assert child.ptes[NUMBER].pfn == -1
    assert file.f_count == references + 1
    assert (host.mm.ptes[NUMBER].writable, page.anon_shared) == (True, False)
    assert host.kernel.do_user_addr_fault(child, HVA) == 0
    assert child_page(host, child) is page
    host.kernel.exit_mmap(child)
    assert file.f_count == references


def test_device_memory_is_copied_as_it_is(host: Host) -> None:
    pfn = len(host.kernel.mem_map)
    host.map_device(HVA, pfn)
    sequence = host.kvm.gpc_invalidate_seq
    child = fork(host)
    assert (child.ptes[NUMBER].pfn, child.ptes[NUMBER].writable, host.mm.ptes[NUMBER].writable) == (pfn, True, True)
    assert host.kvm.gpc_invalidate_seq - sequence == 3  # for the other pages


def test_a_page_that_moves_is_shared(host: Host) -> None:
    page = touch(host)
    host.kernel.try_to_migrate(host.mm, page)
    child = fork(host)
    assert [mm.ptes[NUMBER].migration for mm in (host.mm, child)] == [page.pfn] * 2
    target = host.kernel.alloc_page()
    assert target is not None
    target.anon = True
    host.kernel.remove_migration_ptes(host.mm, page, target)
    assert [mm.ptes[NUMBER].pfn for mm in (host.mm, child)] == [target.pfn] * 2
    assert [mm.ptes[NUMBER].writable for mm in (host.mm, child)] == [False] * 2
    assert counts(target) == (3, 2, 0, True)


def test_a_shared_page_moves_for_both(host: Host) -> None:
    page = touch(host)
    child = fork(host)
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    new = host.page(HVA)
    assert (page.free, page.anon_shared) == (True, False)
    assert new is child_page(host, child)
    assert counts(new) == (2, 2, 0, True)


def test_no_memory_for_the_copy(host: Host) -> None:
    page = touch(host)
    fork(host)
    while host.kernel.alloc_page() is not None:
        pass
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == -ENOMEM
    assert counts(page) == (2, 2, 0, True)


def test_no_memory_for_a_pinned_page(host: Host) -> None:
    page = touch(host)
    assert host.kernel.pin_user_pages_fast(HVA) == page.pfn
    while host.kernel.alloc_page() is not None:
        pass
    child = host.kernel.new_mm("child")
    assert host.kernel.kernel_clone(host.mm, child) == -ENOMEM
    assert not any(vma.present for vma in child.vmas)
    assert host.mm.write_protect_seq % 2 == 0
    assert (counts(page), host.kvm.mn_active_invalidate_count) == ((2, 1, 1, False), 0)


def test_the_new_process_waits_for_its_birth(host: Host) -> None:
    child = host.kernel.new_mm("child")
    with pytest.raises(WouldBlock):
        host.kernel.wait_for_fork(child)
    host.kernel.kernel_clone(host.mm, child)
    host.kernel.wait_for_fork(child)


def test_the_pte_changes_while_a_page_is_copied(make_host: MakeHost) -> None:
    class Racing(Vmlinux):
        def host_copy(self, source: int, target: int) -> None:
            host.kernel.madvise_dontneed(host.mm, HVA)
            super().host_copy(source, target)

    host = make_host(Racing)
    page = touch(host)
    child = fork(host)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.mm.ptes[NUMBER].pfn == -1
    assert (child_page(host, child), page.refcount) == (page, 1)
    assert sum(not p.free for p in host.kernel.mem_map) == 1
