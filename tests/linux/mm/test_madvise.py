# SPDX-License-Identifier: GPL-2.0-only
"""mm/madvise.c: MADV_DONTNEED, MADV_REMOVE and MADV_POPULATE_*."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.uapi.linux.errno import EFAULT, EHWPOISON, EINVAL, ENOMEM
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


def test_populate(host: Host) -> None:
    populate = host.kernel.madvise_populate
    assert populate(host.mm, HVA, False) == 0
    assert populate(host.mm, HVA, True) == 0
    assert (host.mm.ptes[NUMBER].pfn >= 0, host.mm.ptes[NUMBER].writable) == (True, True)
    page = host.page(HVA)
    assert populate(host.mm, HVA, True) == 0
    assert host.page(HVA) is page
    assert populate(host.mm, TARGET, False) == -ENOMEM
    assert host.mm.mmap_lock.readers == 0


def test_populate_asks_the_mapping_first(host: Host) -> None:
    populate = host.kernel.madvise_populate
    host.map_device(HVA, 100)
    assert [populate(host.mm, HVA, write) for write in (False, True)] == [-EINVAL, -EINVAL]
    host.kernel.do_mprotect_pkey(host.mm, HVA + 0x1000, False, True)
    assert [populate(host.mm, HVA + 0x1000, write) for write in (True, False)] == [-EINVAL, 0]
    host.kernel.do_mprotect_pkey(host.mm, HVA + 0x1000, False, False)
    assert [populate(host.mm, HVA + 0x1000, write) for write in (True, False)] == [-EINVAL, -EINVAL]


def test_populate_of_private_and_of_poisoned_memory(host: Host) -> None:
    private, shared = (host.kernel._kvm_gmem_create(f"gmem{flags}", host.kvm, 1, flags) for flags in (1, 3))
    host.kernel.vm_mmap_pgoff(host.mm, HVA, private.f_mapping, 0)
    assert host.kernel.madvise_populate(host.mm, HVA, False) == -EFAULT  # SIGBUS
    host.kernel.vm_mmap_pgoff(host.mm, TARGET, shared.f_mapping, 0)
    assert host.kernel.madvise_populate(host.mm, TARGET, True) == 0
    host.kernel.memory_failure(host.mm, TARGET, shared.f_mapping, 0)
    assert host.kernel.madvise_populate(host.mm, TARGET, True) == -EHWPOISON
