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


def test_an_address_is_not_used_again_while_there_are_others(host: Host) -> None:
    """An access through it is reported, and does not reach the page that is mapped next."""
    kernel = host.kernel
    first = kernel.vmap(kernel.mem_map[3])
    kernel.vunmap(first)
    others = [kernel.vmap(kernel.mem_map[4]) for _ in range(len(kernel.vmap_areas) - 1)]
    assert first not in others
    with reported("unmapped-access"):
        kernel.kernel_access(first, True)
    assert kernel.vmap(kernel.mem_map[4]) == first  # the lazy list is purged


def test_vunmap_of_an_address_in_a_page(host: Host) -> None:
    """Linux warns, and leaves it mapped; memunmap() aligns the address."""
    kernel = host.kernel
    khva = kernel.vmap(kernel.mem_map[3])
    with reported("map-imbalance"):
        kernel.vunmap(khva + 8)
    assert kernel.vmap_areas[0].busy
    kernel.memunmap(khva + 8)
    assert not kernel.vmap_areas[0].busy
