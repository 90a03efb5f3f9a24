# SPDX-License-Identifier: GPL-2.0-only
"""mm/vmalloc.c: addresses in vmalloc space."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.sched import current
from tests.linux.conftest import Host, reported


def test_vmap_and_vunmap(host: Host) -> None:
    kernel = host.kernel
    first, second = kernel.vmap(kernel.mem_map[3]), kernel.vmap(kernel.mem_map[3])
    assert (first, second) == (kernel.VMALLOC_START, kernel.VMALLOC_START + 0x1000)
    assert [(area.busy, area.pfn) for area in kernel.vmap_areas[:3]] == [(True, 3), (True, 3), (False, -1)]
    kernel.vunmap(first)
    assert [(area.busy, area.pfn) for area in kernel.vmap_areas[:2]] == [(False, -1), (True, 3)]
    with reported("map-imbalance"):
        kernel.vunmap(first)


def test_no_room(host: Host) -> None:
    kernel = host.kernel
    assert all(kernel.memremap(100) for _ in range(16))
    assert (kernel.vmap(kernel.mem_map[0]), kernel.memremap(100)) == (0, 0)


@pytest.mark.parametrize("what", ["kmap", "vmap", "vunmap", "memremap", "memunmap"])
def test_not_in_atomic_context(host: Host, what: str) -> None:
    kernel = host.kernel
    khva = kernel.vmap(kernel.mem_map[0])
    argument = {"kmap": kernel.mem_map[0], "vmap": kernel.mem_map[0], "memremap": 100}.get(what, khva)
    current().preempt_count = 1
    with reported("sleeping-in-atomic"):
        getattr(kernel, what)(argument)
