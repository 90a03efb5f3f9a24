# SPDX-License-Identifier: GPL-2.0-only
"""mm/ksm.c: two pages become one, until a write copies it."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.uapi.linux.errno import EFAULT, ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_read
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

OTHER = HVA + 0x1000
NUMBER = HVA >> 12


def mergeable(host: Host) -> tuple[Page, Page]:
    for hva in (HVA, OTHER):
        assert host.kernel.do_user_addr_fault(host.mm, hva) == 0
        assert host.kernel.madvise_mergeable(host.mm, hva, True) == 0
    return host.page(HVA), host.page(OTHER)


def merge(host: Host) -> int:
    return host.kernel.try_to_merge_two_pages(host.mm, HVA, OTHER)


def counts(page: Page) -> tuple[int, int, bool, bool]:
    return page.refcount, page.mapcount, page.anon_shared, page.ksm


def writable(host: Host) -> list[bool]:
    return [host.mm.ptes[hva >> 12].writable for hva in (HVA, OTHER)]


def test_one_page_is_left(host: Host) -> None:
    page, other = mergeable(host)
    assert merge(host) == 0
    assert [host.page(HVA), host.page(OTHER)] == [page, page]
    assert other.free
    assert counts(page) == (2, 2, True, True)
    assert counts(other) == (0, 0, False, False)
    assert writable(host) == [False, False]
    # write protection of each, and the replacement
    assert (host.kvm.gpc_invalidate_seq, host.kvm.mn_active_invalidate_count) == (3, 0)
    assert not page.lock.held
    assert host.mm.mmap_lock.readers == 0


def test_merged_again(host: Host) -> None:
    page, _ = mergeable(host)
    assert merge(host) == 0
    assert merge(host) == 0
    assert counts(page) == (2, 2, True, True)


def test_a_write_copies(host: Host) -> None:
    page, _ = mergeable(host)
    page.host_bytes[:3] = b"old"
    assert merge(host) == 0
    assert host.kernel.copy_to_user(OTHER, b"n")
    assert bytes(host.page(OTHER).host_bytes[:3]) == b"nld"
    assert bytes(host.page(HVA).host_bytes[:3]) == b"old"
    assert writable(host) == [False, True]
    assert counts(page) == (1, 1, True, True)


def test_the_last_pte_of_a_ksm_page_gets_a_copy_too(host: Host) -> None:
    page, _ = mergeable(host)
    assert merge(host) == 0
    for hva in (OTHER, HVA):
        assert host.kernel.copy_to_user(hva, b"n")
    assert page not in (host.page(HVA), host.page(OTHER))
    assert (page.free, page.ksm, page.anon_shared) == (True, False, False)


@pytest.mark.parametrize("why", ["reference", "pin", "locked"])
@pytest.mark.parametrize("which", [0, 1])
def test_pages_in_use_are_not_merged(host: Host, why: str, which: int) -> None:
    pages = mergeable(host)
    if why == "locked":
        pages[which].lock.held = True
    elif why == "pin":
        host.kernel.pin_user_pages_fast((HVA, OTHER)[which])
    else:
        host.kernel.get_page(pages[which])
    assert merge(host) == -EFAULT
    assert host.page((HVA, OTHER)[which]) is pages[which]
    assert host.mm.ptes[NUMBER + which].writable
    # what was made a KSM page already is broken again
    assert [host.page(hva).ksm for hva in (HVA, OTHER)] == [False, False]
    assert [host.page(hva).mapcount for hva in (HVA, OTHER)] == [1, 1]


@pytest.mark.parametrize("what", ["no advice", "missing", "unmapped", "file"])
@pytest.mark.parametrize("which", [0, 1])
def test_other_memory_is_not_merged(host: Host, what: str, which: int) -> None:
    mergeable(host)
    hva = (HVA, OTHER)[which]
    if what == "no advice":
        host.kernel.madvise_mergeable(host.mm, hva, False)
    elif what == "missing":
        host.kernel.madvise_dontneed(host.mm, hva)
    elif what == "unmapped":
        host.kernel.vm_munmap(host.mm, hva)
    else:
        host.kernel.vm_mmap_pgoff(host.mm, hva, host.kernel.new_memfd("memfd", 1), 0)
        host.kernel.do_user_addr_fault(host.mm, hva)
        host.kernel.madvise_mergeable(host.mm, hva, True)
    sequence = host.kvm.gpc_invalidate_seq
    assert merge(host) == -EFAULT
    assert host.kvm.gpc_invalidate_seq == sequence
    assert all(page.refcount in (0, 1, 2) and not page.ksm for page in host.kernel.mem_map)


def test_unmerged(host: Host) -> None:
    page, _ = mergeable(host)
    assert host.kernel.madvise_mergeable(host.mm, 0x1000, True) == -ENOMEM
    assert merge(host) == 0
    assert host.kernel.madvise_mergeable(host.mm, HVA, False) == 0
    assert host.page(HVA) is not page
    assert counts(host.page(HVA)) == (1, 1, False, False)
    assert writable(host) == [False, False]  # the copy is exclusive, but no fault has written to it
    new = host.page(HVA)
    assert host.kernel.copy_to_user(HVA, b"n")
    assert host.page(HVA) is new


def test_unmerged_without_memory(host: Host) -> None:
    page, _ = mergeable(host)
    assert merge(host) == 0
    while host.kernel.alloc_page() is not None:
        pass
    assert host.kernel.madvise_mergeable(host.mm, HVA, False) == -ENOMEM
    assert host.page(HVA) is page


def test_a_page_that_changed_is_not_replaced(host: Host) -> None:
    page, other = mergeable(host)
    assert host.kernel.replace_page(host.mm, NUMBER + 1, other, page) == -EFAULT  # writable
    assert host.kernel.replace_page(host.mm, NUMBER + 1, page, other) == -EFAULT
    assert host.kernel.write_protect_page(host.mm, NUMBER + 1, page) == -EFAULT
    assert (writable(host), host.kvm.gpc_invalidate_seq) == ([True, True], 3)


def test_the_pte_is_clear_while_references_are_counted(make_host: MakeHost) -> None:
    seen: list[int] = []

    class Watching(Vmlinux):
        def is_only_mapped(self, page: Page) -> bool:
            mm: MmStruct = host.mm
            seen.append(mm.ptes[NUMBER + len(seen)].pfn)
            return super().is_only_mapped(page)

    host = make_host(Watching)
    mergeable(host)
    assert merge(host) == 0
    assert seen == [-1, -1]


def test_a_shared_page_is_read_only_already(host: Host) -> None:
    page, _ = mergeable(host)
    child = host.kernel.new_mm("child")
    host.kernel.kernel_clone(host.mm, child)
    assert merge(host) == 0
    assert counts(page) == (3, 3, True, True)
    assert child.ptes[NUMBER].pfn == page.pfn


def test_a_ksm_page_moves(host: Host) -> None:
    mergeable(host)
    assert merge(host) == 0
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    assert host.page(HVA) is host.page(OTHER)
    assert counts(host.page(HVA)) == (2, 2, True, True)


def moving(host: Host, page: Page) -> None:
    """A migration has replaced the PTEs of a page, and holds its lock."""
    assert host.kernel.isolate_folio(page)
    page.lock.lock()
    host.kernel.try_to_migrate(host.mm, page)


def test_unmerging_waits_for_a_page_that_moves(host: Host) -> None:
    """A migration entry of a KSM page is one: the copy is made when the page is there again."""
    page, _ = mergeable(host)
    assert merge(host) == 0
    moving(host, page)
    with down_read(host.mm.mmap_lock):
        assert host.kernel.ksm_page_of(host.mm, NUMBER) == (True, None)
        with pytest.raises(WouldBlock):
            host.kernel.break_ksm(host.mm, NUMBER)


def test_unmerging_leaves_other_migration_entries_alone(host: Host) -> None:
    page, _ = mergeable(host)
    moving(host, page)
    with down_read(host.mm.mmap_lock):
        assert host.kernel.ksm_page_of(host.mm, NUMBER) == (False, None)
        assert host.kernel.break_ksm(host.mm, NUMBER) == 0
