# SPDX-License-Identifier: GPL-2.0-only
"""mm/highmem.c: kmap()."""

from __future__ import annotations

from tests.linux.conftest import Host


def test_kmap_is_the_direct_map(host: Host) -> None:
    kernel, page = host.kernel, host.kernel.mem_map[3]
    page.direct_map = False  # it is not tested
    khva = kernel.kmap(page)
    assert (khva, kernel.is_vmalloc_addr(khva)) == (kernel.PAGE_OFFSET + 0x3000, False)
    kernel.kunmap(khva)
    assert not any(area.busy for area in kernel.vmap_areas)
