# SPDX-License-Identifier: GPL-2.0-only
"""alias-outlives: a page is freed that vmalloc space still maps."""

from __future__ import annotations

from tests.linux.conftest import Host, reported
from tests.properties.conftest import some_page


def test_freed_under_its_alias(host: Host) -> None:
    page = some_page(host)
    host.kernel.vmap(page)
    with reported("alias-outlives"):
        host.kernel.put_page(page)


def test_unmapped_in_time(host: Host) -> None:
    page, other = some_page(host), some_page(host)
    host.kernel.vmap(other)
    host.kernel.vunmap(host.kernel.vmap(page))
    host.kernel.put_page(page)
    assert page.free


def test_the_owner_is_not_the_only_one_who_holds_it(host: Host) -> None:
    page = some_page(host)
    host.kernel.vmap(page)
    host.kernel.get_page(page)
    host.kernel.put_page(page)
    assert page.refcount == 1
