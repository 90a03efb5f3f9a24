# SPDX-License-Identifier: GPL-2.0-only
"""mm/mremap.c: a mapping moves with its page."""

from __future__ import annotations

from pfncache.linux.include.uapi.linux.errno import EFAULT
from tests.linux.conftest import HVA, Host

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


def test_mremap_of_nothing(host: Host) -> None:
    assert host.kernel.do_mremap(host.mm, TARGET, HVA) == -EFAULT
