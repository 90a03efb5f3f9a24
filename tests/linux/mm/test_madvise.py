# SPDX-License-Identifier: GPL-2.0-only
"""mm/madvise.c: MADV_DONTNEED and MADV_REMOVE."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

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


def test_dontneed_of_what_it_does_not_touch(host: Host) -> None:
    """No notification, and device memory keeps its PTE."""
    host.map_device(HVA, 100)
    told = host.kvm.gpc_invalidate_seq
    assert host.kernel.madvise_dontneed(host.mm, TARGET) == -ENOMEM
    assert host.kernel.madvise_dontneed(host.mm, HVA) == -EINVAL
    assert (host.mm.ptes[NUMBER].pfn, host.kvm.gpc_invalidate_seq) == (100, told)


def test_remove_keeps_the_file_but_not_mmap_lock(make_host: MakeHost) -> None:
    """The mapping may go while a hole is punched."""

    class Unmapping(Vmlinux):
        def kvm_gmem_fallocate(self, file: File, mode: int, offset: int, length: int) -> int:
            self.vm_munmap(self.mms[0], HVA)
            assert file.f_count == 2
            return super().kvm_gmem_fallocate(file, mode, offset, length)

    host = make_host(Unmapping)
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, 3)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    assert host.kernel.madvise_remove(host.mm, HVA) == 0
    assert (file.f_count, host.mm.mmap_lock.readers) == (1, 0)
