# SPDX-License-Identifier: GPL-2.0-only
"""kernel/iomem.c: memremap()."""

from __future__ import annotations

from tests.linux.conftest import Host


def test_memremap_of_a_device(host: Host) -> None:
    kernel = host.kernel
    khva = kernel.memremap(100)
    assert (khva, kernel.vmap_areas[0].pfn, kernel.is_vmalloc_addr(khva)) == (kernel.VMALLOC_START, 100, True)
    kernel.memunmap(khva)
    assert not kernel.vmap_areas[0].busy


def test_memunmap_of_the_direct_map_does_nothing(host: Host) -> None:
    host.kernel.vmap(host.kernel.mem_map[3])
    host.kernel.memunmap(host.kernel.PAGE_OFFSET)
    assert host.kernel.vmap_areas[0].busy
