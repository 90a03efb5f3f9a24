# SPDX-License-Identifier: GPL-2.0-only
"""A guest_memfd with a memslot, and what it holds."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
)
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host

MAPPABLE = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED


def gmem_slot(host: Host, flags: int = MAPPABLE, base_gfn: int = 1) -> File:
    """Four pages of guest_memfd, of which a slot has the last three."""
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 4, flags)
    assert host.kernel.set_memory_region(host.kvm, 0, base_gfn, 3, HVA, gmem=file, gmem_pgoff=1) == 0
    return file


def get_pfn(host: Host, gfn: int) -> int:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.kvm_gmem_get_pfn(host.kvm, host.slot(), gfn)


def cached(file: File) -> list[int | None]:
    pages = [entry.page for entry in file.f_mapping.i_pages]
    return [None if page is None else page.pfn for page in pages]
