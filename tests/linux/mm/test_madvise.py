# SPDX-License-Identifier: GPL-2.0-only
"""mm/madvise.c: MADV_DONTNEED and MADV_REMOVE."""

from __future__ import annotations

from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM
from tests.linux.conftest import HVA, Host

TARGET = HVA + 0x10000


def test_madvise_remove(host: Host) -> None:
    file, memfd = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, 3), host.kernel.new_memfd("memfd", 1)
    for mapping in (file.f_mapping, memfd):
        host.kernel.vm_mmap_pgoff(host.mm, HVA, mapping, 0)
        assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
        assert host.kernel.madvise_remove(host.mm, HVA) == 0
        assert (mapping.i_pages[0].page, host.mm.ptes[HVA >> 12].pfn) == (None, -1)
    assert host.kernel.madvise_remove(host.mm, HVA + 0x1000) == -EINVAL
    assert host.kernel.madvise_remove(host.mm, TARGET) == -ENOMEM


NUMBER = HVA >> 12


def test_dontneed_keeps_the_mapping(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    assert host.kernel.madvise_dontneed(host.mm, HVA) == 0
    assert (page.free, host.mm.vmas[NUMBER].present) == (True, True)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.page(HVA).incarnation == 2
