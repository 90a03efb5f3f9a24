# SPDX-License-Identifier: GPL-2.0-only
"""Pages leave the direct map and come back."""

from __future__ import annotations

from tests.linux.conftest import Host


def test_every_page_starts_in_the_direct_map(host: Host) -> None:
    assert all(page.direct_map for page in host.kernel.mem_map)


def test_one_page_goes_and_comes_back(host: Host) -> None:
    pages = host.kernel.mem_map
    host.kernel.set_direct_map_invalid_noflush(pages[2])
    assert [page.pfn for page in pages if not page.direct_map] == [2]
    host.kernel.set_direct_map_default_noflush(pages[2])
    assert pages[2].direct_map
