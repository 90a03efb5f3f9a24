# SPDX-License-Identifier: GPL-2.0-only
"""mm/mremap.c: a mapping moves with its page."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.uapi.linux.errno import EFAULT
from tests.linux.conftest import HVA, Host

NUMBER = HVA >> 12
TARGET = HVA + 0x10000


def test_mremap_moves_the_page_and_tells_kvm(host: Host) -> None:
    host.add_slot()
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    assert host.kernel.msr_io(host.vcpu, 0x4B564D01, 1) == 1
    assert host.gpc.valid
    assert host.kernel.do_mremap(host.mm, HVA, TARGET) == 0
    assert not host.gpc.valid
    assert (host.page(TARGET), page.refcount, page.mapcount) == (page, 1, 1)
    assert (host.mm.ptes[HVA >> 12].pfn, host.mm.vmas[HVA >> 12].present) == (-1, False)


def test_mremap_keeps_protection_and_file(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 4, 3)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 2)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert host.kernel.do_mremap(host.mm, HVA, TARGET) == 0
    vma = host.mm.vmas[TARGET >> 12]
    assert (vma.mapping, vma.pgoff, vma.readable, vma.writable) == (file.f_mapping, 2, True, False)
    assert file.f_count == 2  # the descriptor's and the mapping's
    host.kernel.vm_munmap(host.mm, TARGET)
    assert file.f_count == 1


@pytest.mark.parametrize("of_file", [False, True])
def test_a_move_down_keeps_walks_of_the_reverse_mapping_out(host: Host, of_file: bool) -> None:
    """They visit the new place before the old one, and would miss the page in both."""
    memfd = host.kernel.new_memfd("memfd", 1)
    if of_file:
        host.kernel.vm_mmap_pgoff(host.mm, HVA + 0x1000, memfd, 0)
    host.kernel.do_user_addr_fault(host.mm, HVA + 0x1000)
    page = host.page(HVA + 0x1000)
    lock = memfd.i_mmap_rwsem if of_file else host.mm.anon_vma_rwsem
    assert host.kernel.do_mremap(host.mm, HVA + 0x1000, HVA) == 0
    assert (host.page(HVA), lock.writer) == (page, False)
    lock.lock_shared()
    host.kernel.move_ptes(host.mm, NUMBER, NUMBER + 1)
    with pytest.raises(WouldBlock):
        host.kernel.move_ptes(host.mm, NUMBER + 1, NUMBER)


def test_mremap_keeps_device_memory(host: Host) -> None:
    host.map_device(HVA, 100)
    assert host.kernel.do_mremap(host.mm, HVA, TARGET) == 0
    assert host.kernel.hva_to_pfn(TARGET) == 100


def test_mremap_of_nothing(host: Host) -> None:
    assert host.kernel.do_mremap(host.mm, TARGET, HVA) == -EFAULT
