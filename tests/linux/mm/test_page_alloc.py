# SPDX-License-Identifier: GPL-2.0-only
"""The page allocator, and references on pages."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import Host, reported


def allocated(kernel: Vmlinux) -> Page:
    page = kernel.alloc_page()
    assert page is not None
    return page


def test_every_page_is_handed_out_once_then_none(host: Host) -> None:
    kernel = host.kernel
    assert [allocated(kernel).pfn for _ in range(64)] == list(range(64))
    assert kernel.alloc_page() is None


def test_a_page_comes_with_one_reference(host: Host) -> None:
    page = allocated(host.kernel)
    assert (page.free, page.refcount, page.incarnation) == (False, 1, 1)


def test_the_last_reference_gives_the_page_back(host: Host) -> None:
    kernel = host.kernel
    page = allocated(kernel)
    page.anon = page.uptodate = True
    kernel.get_page(page)
    kernel.put_page(page)
    assert (page.free, page.refcount, page.anon) == (False, 1, True)
    kernel.put_page(page)
    assert (page.free, page.refcount, page.anon, page.uptodate, page.mapping) == (True, 0, False, False, None)


def test_the_next_owner_is_another_incarnation(host: Host) -> None:
    page = allocated(host.kernel)
    host.kernel.put_page(page)
    assert allocated(host.kernel) is page
    assert page.incarnation == 2


def test_freed_memory_is_poisoned(host: Host) -> None:
    page = allocated(host.kernel)
    page.host_bytes[:4] = b"mine"
    host.kernel.put_page(page)
    assert bytes(page.host_bytes) == b"\xaa" * 4096


def test_no_reference_on_a_free_page(host: Host) -> None:
    page = host.kernel.mem_map[5]
    assert not host.kernel.try_get_page(page)
    for step in (host.kernel.get_page, host.kernel.put_page):
        with reported("refcount-imbalance"):
            step(page)
    assert (page.refcount, page.free) == (0, True)


def test_try_get_of_a_page_in_use(host: Host) -> None:
    page = allocated(host.kernel)
    assert host.kernel.try_get_page(page)
    assert page.refcount == 2


def test_a_mapped_page_must_not_be_freed(host: Host) -> None:
    page = allocated(host.kernel)
    page.mapcount = 1
    with reported("bad-page"):
        host.kernel.put_page(page)


@pytest.mark.parametrize("state", ["cached", "locked"])
def test_a_page_in_use_must_not_be_freed(host: Host, state: str) -> None:
    page = allocated(host.kernel)
    if state == "cached":
        page.mapping = host.kernel.new_memfd("memfd", 1)
    else:
        page.lock.lock()
    with reported("bad-page"):
        host.kernel.put_page(page)


def test_poisoned_page_is_never_handed_out_again(host: Host) -> None:
    page = host.kernel.alloc_page()
    assert page is not None
    page.hwpoison = True
    host.kernel.put_page(page)
    assert not page.free
    others = {host.kernel.alloc_page() for _ in range(len(host.kernel.mem_map) - 1)}
    assert page not in others
    assert host.kernel.alloc_page() is None
