# SPDX-License-Identifier: GPL-2.0-only
"""mm/truncate.c: pages leave the page cache."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from tests.linux.conftest import HVA, Host


@pytest.fixture
def memfd(host: Host) -> AddressSpace:
    return host.kernel.new_memfd("memfd", 3)


def grab(host: Host, memfd: AddressSpace, index: int = 0) -> Page:
    page = host.kernel.filemap_grab_folio(memfd, index)
    assert page is not None
    return page


def let_go(host: Host, page: Page) -> None:
    page.lock.unlock()
    host.kernel.put_page(page)


def test_truncation_of_a_range(host: Host, memfd: AddressSpace) -> None:
    pages = [grab(host, memfd, index) for index in range(3)]
    for page in pages:
        let_go(host, page)
    host.kernel.truncate_inode_pages_range(memfd, 1, 3)
    assert [entry.page for entry in memfd.i_pages] == [pages[0], None, None]
    assert [page.free for page in pages] == [False, True, True]


def test_truncation_leaves_a_page_to_who_holds_it(host: Host, memfd: AddressSpace) -> None:
    page = grab(host, memfd)
    page.lock.unlock()
    host.kernel.truncate_inode_pages_range(memfd, 0, 1)
    assert (page.mapping, page.refcount, page.free) == (None, 1, False)


def test_truncation_waits_for_the_folio_lock(host: Host, memfd: AddressSpace) -> None:
    page = grab(host, memfd)
    with pytest.raises(WouldBlock):
        host.kernel.truncate_inode_pages_range(memfd, 0, 1)
    assert memfd.i_pages[0].page is page


def test_truncation_unmaps_first(host: Host, memfd: AddressSpace) -> None:
    for hva in (HVA, HVA + 0x1000):
        host.kernel.vm_mmap_pgoff(host.mm, hva, memfd, 0)
        host.kernel.do_user_addr_fault(host.mm, hva)
    page = host.page(HVA)
    assert (page.mapcount, page.refcount) == (2, 3)
    told = host.kvm.gpc_invalidate_seq
    host.kernel.truncate_inode_pages_range(memfd, 0, 1)
    assert [host.mm.ptes[hva >> 12].pfn for hva in (HVA, HVA + 0x1000)] == [-1, -1]
    assert (page.mapcount, page.free) == (0, True)
    assert host.kvm.gpc_invalidate_seq == told + 2  # a pair of notifications for each PTE
