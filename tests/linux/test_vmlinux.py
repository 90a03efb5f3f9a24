# SPDX-License-Identifier: GPL-2.0-only
"""The kernel image, and the shape of its address space."""

from __future__ import annotations

import pytest

from pfncache.linux.vmlinux import Vmlinux


@pytest.mark.parametrize(
    ("kernel", "size", "direct_map", "vmalloc", "real"),
    [
        (Vmlinux(), 0x1000, 0x40000, 0x80000, True),
        (Vmlinux(pages=2, user_pages=3), 0x1000, 0x3000, 0x5000, True),
        (Vmlinux(page_shift=1, pages=3, user_pages=4, vmap_areas=2), 2, 8, 14, False),
    ],
)
def test_address_space(kernel: Vmlinux, size: int, direct_map: int, vmalloc: int, real: bool) -> None:
    assert (size, direct_map, vmalloc) == (kernel.PAGE_SIZE, kernel.PAGE_OFFSET, kernel.VMALLOC_START)
    assert (kernel.host_execution, kernel.kvm_is_error_hva(direct_map - 1), kernel.kvm_is_error_hva(direct_map)) == (
        real, False, True,
    )  # fmt: skip


def test_addresses() -> None:
    kernel = Vmlinux(pages=4)
    assert (kernel.offset_in_page(0x1FFF), kernel.PAGE_ALIGN_DOWN(0x1FFF)) == (0xFFF, 0x1000)
    assert [kernel.pfn_valid(pfn) for pfn in (-1, 0, 3, 4)] == [False, True, True, False]


def test_every_page_is_free_at_first() -> None:
    kernel = Vmlinux(pages=4)
    assert [(page.pfn, page.free, page.refcount, len(page.host_bytes)) for page in kernel.mem_map] == [
        (pfn, True, 0, 0x1000) for pfn in range(4)
    ]
