# SPDX-License-Identifier: GPL-2.0-only
"""mm/mmap.c, mm/util.c, mm/vma.c: mappings appear and disappear."""

from __future__ import annotations

from typing import Any

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENODEV, EPERM
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

NUMBER = HVA >> 12


def notifications(host: Host) -> int:
    assert host.kvm.mn_active_invalidate_count == 0
    return host.kvm.gpc_invalidate_seq


def test_mmap_maps_nothing_yet(host: Host) -> None:
    vma = host.mm.vmas[NUMBER]
    assert (vma.present, vma.readable, vma.writable, vma.pfnmap, vma.mapping) == (True, True, True, False, None)
    assert host.mm.ptes[NUMBER].pfn == -1
    assert notifications(host) == 0


def test_mmap_over_what_is_there(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.map_device(HVA + 0x1000, 100)
    told = notifications(host)
    memfd = host.kernel.new_memfd("memfd", 3)
    assert host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 2) == 0
    assert host.kernel.vm_mmap_pgoff(host.mm, HVA + 0x1000, None, 0) == 0
    vma = host.mm.vmas[NUMBER]
    assert (host.mm.ptes[NUMBER].pfn, vma.mapping, vma.pgoff) == (-1, memfd, 2)
    assert (host.mm.ptes[NUMBER + 1].pfn, host.mm.vmas[NUMBER + 1].pfnmap) == (-1, False)
    assert notifications(host) == told + 2


def test_munmap(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    assert host.kernel.vm_munmap(host.mm, HVA) == 0
    assert (page.free, host.mm.vmas[NUMBER].present, notifications(host)) == (True, False, 1)
    assert host.kernel.vm_munmap(host.mm, HVA) == 0  # nothing there: no notification
    assert notifications(host) == 1


class Locks(Vmlinux):
    """Notes how mmap_lock is held at each notification, and whether the VMA is still there, and that of its file."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.seen: list[tuple[bool, int, bool, bool]] = []

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        super().kvm_mmu_notifier_invalidate_range_start(kvm, start, end)
        lock, vma = kvm.mm.mmap_lock, kvm.mm.vmas[start >> 12]
        self.seen.append((lock.writer, lock.readers, vma.present, vma.i_mmap is not None))


def test_munmap_zaps_under_mmap_lock_for_reading(make_host: MakeHost) -> None:
    """The VMA has left the tree of the process, so a lookup fails at once; a walk of the file's mappings finds it."""
    host = make_host(Locks)
    kernel = host.kernel
    assert isinstance(kernel, Locks)
    memfd = kernel.new_memfd("memfd", 1)
    kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 0)
    assert kernel.vm_munmap(host.mm, HVA) == 0
    assert kernel.seen[-1] == (False, 1, False, True)
    assert (host.mm.mmap_lock.writer, host.mm.mmap_lock.readers, host.mm.vmas[NUMBER].i_mmap) == (False, 0, None)


@pytest.mark.parametrize("operation", ["mmap", "mremap"])
def test_what_replaces_a_mapping_holds_mmap_lock_for_writing(make_host: MakeHost, operation: str) -> None:
    host = make_host(Locks)
    kernel = host.kernel
    assert isinstance(kernel, Locks)
    if operation == "mmap":
        kernel.vm_mmap_pgoff(host.mm, HVA, None, 0)
    else:
        kernel.do_mremap(host.mm, HVA, HVA + 0x1000)
    assert kernel.seen and all((writer, readers) == (True, 0) for writer, readers, _, _ in kernel.seen)


@pytest.mark.parametrize("operation", ["vm_munmap", "vm_mmap_pgoff"])
def test_the_tree_of_a_file_changes_under_its_lock(host: Host, operation: str) -> None:
    memfd = host.kernel.new_memfd("memfd", 1)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 0)
    assert host.mm.vmas[NUMBER].i_mmap is memfd
    memfd.i_mmap_rwsem.lock_shared()
    arguments = (host.mm, HVA + 0x1000, memfd, 0) if operation == "vm_mmap_pgoff" else (host.mm, HVA)
    with pytest.raises(WouldBlock):
        getattr(host.kernel, operation)(*arguments)


def test_a_mapping_has_a_reference_on_its_file(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 2, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    host.kernel.vm_mmap_pgoff(host.mm, HVA + 0x1000, file.f_mapping, 1)
    assert file.f_count == 3
    host.kernel.vm_munmap(host.mm, HVA)
    host.kernel.vm_mmap_pgoff(host.mm, HVA + 0x1000, None, 0)
    assert file.f_count == 1


def test_exit_frees_everything_and_tells_kvm_once(host: Host) -> None:
    host.add_slot()
    for number in range(2):
        host.kernel.do_user_addr_fault(host.mm, HVA + (number << 12))
    host.kernel.run_guest_access(host.vcpu, 0, False)
    host.kernel.exit_mmap(host.mm)
    assert all(page.free for page in host.kernel.mem_map)
    assert not any(vma.present for vma in host.mm.vmas)
    assert (host.kvm.sptes[0].pfn, host.kvm.mmu_notifier_registered, notifications(host)) == (-1, False, 0)


def test_freeing_page_tables_asserts_the_lock_that_the_caller_says(host: Host) -> None:
    lock, vma = host.mm.mmap_lock, host.mm.vmas[NUMBER]
    with reported("lock-assertion"):
        host.kernel.free_pgtables(host.mm, vma, False)
    with down_read(lock):
        host.kernel.free_pgtables(host.mm, vma, False)
        with reported("lock-assertion"):
            host.kernel.free_pgtables(host.mm, vma, True)
    with down_write(lock):
        host.kernel.free_pgtables(host.mm, vma, True)


def test_exit_lets_go_of_files(host: Host) -> None:
    """The last mapping of a closed guest_memfd goes with the process, and the file with it."""
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.filp_close(file)
    assert file.f_count == 1
    host.kernel.exit_mmap(host.mm)
    assert (file.f_count, current().delayed_fput) == (0, file)
    host.kernel.task_work_run(file)
    assert all(page.free for page in host.kernel.mem_map)


@pytest.mark.parametrize(
    ("flags", "shared", "executable", "ret"),
    [
        (1, True, False, 0),
        (1, False, False, -EINVAL),
        (0, True, False, -ENODEV),
        (3, True, True, -EPERM),
        (0, True, True, -EPERM),
    ],
)
def test_mmap_of_guest_memfd(host: Host, flags: int, shared: bool, executable: bool, ret: int) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, flags)
    assert host.kernel.do_mmap(file, shared, executable) == ret
    assert host.kernel.do_mmap(None, False, True) == 0
