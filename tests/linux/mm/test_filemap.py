# SPDX-License-Identifier: GPL-2.0-only
"""mm/filemap.c: the page cache."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from tests.linux.conftest import Host, reported


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


def test_lookup_of_what_is_not_there(host: Host, memfd: AddressSpace) -> None:
    assert host.kernel.filemap_lock_folio(memfd, 0) is None
    assert all(page.free for page in host.kernel.mem_map)


def test_grab_allocates_locked_and_referenced(host: Host, memfd: AddressSpace) -> None:
    page = grab(host, memfd, 2)
    assert [entry.page for entry in memfd.i_pages] == [None, None, page]
    assert (page.mapping, page.index, page.refcount, page.lock.held, page.uptodate) == (memfd, 2, 2, True, False)


def test_found_again(host: Host, memfd: AddressSpace) -> None:
    page = grab(host, memfd)
    with pytest.raises(WouldBlock):
        host.kernel.filemap_lock_folio(memfd, 0)  # the folio lock is ours
    host.kernel.put_page(page)  # of the attempt
    let_go(host, page)
    assert host.kernel.filemap_lock_folio(memfd, 0) is page
    assert (page.refcount, page.lock.held, page.incarnation) == (2, True, 1)


def test_grab_without_memory(host: Host, memfd: AddressSpace) -> None:
    while host.kernel.alloc_page() is not None:
        pass
    assert host.kernel.filemap_grab_folio(memfd, 0) is None
    assert memfd.i_pages[0].page is None


def test_an_index_has_one_page(host: Host, memfd: AddressSpace) -> None:
    page = grab(host, memfd)
    other = host.kernel.alloc_page()
    assert other is not None
    assert not host.kernel.filemap_add_folio(memfd, 0, other)
    assert (memfd.i_pages[0].page, other.refcount, other.mapping) == (page, 1, None)


def test_a_mapped_page_must_not_leave_the_cache(host: Host, memfd: AddressSpace) -> None:
    grab(host, memfd).mapcount = 1
    with reported("bad-page"):
        host.kernel.filemap_remove_folio(memfd, 0)
