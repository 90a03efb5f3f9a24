# SPDX-License-Identifier: GPL-2.0-only
"""What a process does to its address space, and what the kernel does by itself."""

from __future__ import annotations

from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOMEM
from tests.linux.conftest import HVA, Host

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
    assert host.kernel.vm_munmap(host.mm, HVA) == 0  # nothing there: nobody is told
    assert notifications(host) == 1


def test_dontneed_keeps_the_mapping(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    assert host.kernel.madvise_dontneed(host.mm, HVA) == 0
    assert (page.free, host.mm.vmas[NUMBER].present) == (True, True)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.page(HVA).incarnation == 2


def test_mprotect(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    pte, pfn = host.mm.ptes[NUMBER], host.mm.ptes[NUMBER].pfn
    assert host.kernel.do_mprotect_pkey(host.mm, HVA, False) == 0
    assert (pte.pfn, pte.writable) == (pfn, False)
    assert host.kernel.do_mprotect_pkey(host.mm, HVA, True) == 0
    assert (pte.pfn, pte.writable) == (pfn, False)  # until the next write fault
    assert notifications(host) == 2
    assert host.kernel.do_mprotect_pkey(host.mm, HVA - 0x1000, True) == -ENOMEM
    assert notifications(host) == 2


def test_touch(host: Host) -> None:
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.kernel.do_user_addr_fault(host.mm, HVA - 0x1000) == -EFAULT


def test_touch_of_readonly_memory_faults(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == -EFAULT
    host.kernel.do_mprotect_pkey(host.mm, HVA, True)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert (host.page(HVA), host.mm.ptes[NUMBER].writable) == (page, True)


def test_migration_moves_contents_to_another_page(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)
    old.host_bytes[:5] = b"hello"
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    new = host.page(HVA)
    assert (old.free, new.free, bytes(new.host_bytes[:5])) == (True, False, b"hello")
    assert (new.anon, new.refcount, new.mapcount, host.mm.ptes[NUMBER].writable) == (True, 1, 1, True)
    assert notifications(host) == 1


def test_migration_of_a_page_that_somebody_holds(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)
    host.kernel.get_page(old)
    assert host.kernel.migrate_pages(host.mm, HVA) == -EAGAIN
    assert (host.page(HVA), old.mapcount, old.refcount) == (old, 1, 2)
    assert [page.pfn for page in host.kernel.mem_map if not page.free] == [old.pfn]


def test_migration_of_what_cannot_be(host: Host) -> None:
    assert host.kernel.migrate_pages(host.mm, HVA) == -EFAULT
    host.kernel.do_user_addr_fault(host.mm, HVA)
    while host.kernel.alloc_page() is not None:
        pass
    assert host.kernel.migrate_pages(host.mm, HVA) == -ENOMEM


def test_punch_hole_of_a_memfd(host: Host) -> None:
    memfd = host.kernel.new_memfd("memfd", 2)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, memfd, 1)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert host.kernel.punch_hole_in_memfd(memfd, 0, 1) == 0
    assert host.mm.ptes[NUMBER].pfn == 0
    assert host.kernel.punch_hole_in_memfd(memfd, 1, 2) == 0
    assert (host.mm.ptes[NUMBER].pfn, memfd.i_pages[1].page, memfd.invalidate_lock.writer) == (-1, None, False)


def test_a_mapping_has_a_reference_on_its_file(host: Host) -> None:
    file = host.kernel.kvm_gmem_create("gmem", host.kvm, 2, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
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


def test_exit_lets_go_of_files(host: Host) -> None:
    """The last mapping of a closed guest_memfd goes with the process, and the file with it."""
    file = host.kernel.kvm_gmem_create("gmem", host.kvm, 1, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.sys_close(file)
    assert file.f_count == 1
    host.kernel.exit_mmap(host.mm)
    assert (file.f_count, current().delayed_fput) == (0, file)
    host.kernel.task_work_run(file)
    assert all(page.free for page in host.kernel.mem_map)
