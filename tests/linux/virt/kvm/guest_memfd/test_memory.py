# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_HWPOISON
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
    KVM_X86_SW_PROTECTED_VM,
)
from pfncache.linux.include.uapi.linux.errno import EEXIST, EFAULT, EINTR, EINVAL, ENODEV, EOPNOTSUPP
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host, MakeHost

MAPPABLE = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED


def gmem_slot(host: Host, flags: int = MAPPABLE, base_gfn: int = 1) -> File:
    """Four pages of guest_memfd, of which a slot has the last three."""
    file = host.kernel.kvm_gmem_create("gmem", host.kvm, 4, flags)
    assert host.kernel.kvm_set_memory_region(host.kvm, 0, base_gfn, 3, HVA, gmem=file, gmem_pgoff=1) == 0
    return file


def get_pfn(host: Host, gfn: int) -> int:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.kvm_gmem_get_pfn(host.kvm, host.slot(), gfn)


def cached(file: File) -> list[int | None]:
    pages = [entry.page for entry in file.f_mapping.i_pages]
    return [None if page is None else page.pfn for page in pages]


def test_create_checks(make_host: MakeHost) -> None:
    host = make_host()
    check = host.kernel.kvm_gmem_check_create
    assert [check(host.kvm, 0x1000, flags) for flags in range(5)] == [0, 0, 0, 0, -EINVAL]
    assert [check(host.kvm, size, 0) for size in (0, -0x1000, 0x1800, 0x2000)] == [-EINVAL, -EINVAL, -EINVAL, 0]
    private = make_host(vm_type=KVM_X86_SW_PROTECTED_VM)
    assert [check(private.kvm, 0x1000, flags) for flags in range(4)] == [0, 0, -EINVAL, -EINVAL]


def test_bindings(host: Host) -> None:
    file = gmem_slot(host)
    kernel, kvm, slot = host.kernel, host.kvm, host.slot()
    assert [b.slot for b in file.private_data.bindings] == [None, slot, slot, slot]
    assert file.f_count == 1  # a slot has none
    assert kernel.kvm_set_memory_region(kvm, 1, 6, 1, HVA, gmem=file, gmem_pgoff=3) == -EEXIST
    assert kernel.kvm_set_memory_region(kvm, 1, 6, 2, HVA, gmem=file, gmem_pgoff=3) == -EINVAL
    assert kernel.kvm_set_memory_region(kvm, 1, 6, 1, HVA, gmem=file, gmem_pgoff=0) == 0
    assert file.f_count == 1
    host.delete_slot()
    assert [b.slot for b in file.private_data.bindings] == [host.slot(1), None, None, None]


def test_another_vms_file_is_refused(host: Host) -> None:
    other = host.kernel.kvm_create_vm("other", host.mm)
    file = host.kernel.kvm_gmem_create("gmem", other, 1, MAPPABLE)
    assert host.kernel.kvm_set_memory_region(host.kvm, 0, 0, 1, HVA, gmem=file) == -EINVAL
    assert file.f_count == 1


def test_get_pfn_allocates_zeroes_and_returns_a_reference(host: Host) -> None:
    file = gmem_slot(host)
    pfn = get_pfn(host, 2)
    page = host.kernel.mem_map[pfn]
    assert cached(file) == [None, None, pfn, None]
    assert (page.refcount, page.uptodate, page.lock.held, page.index) == (2, True, False, 2)
    assert bytes(page.host_bytes) == bytes(4096)
    assert get_pfn(host, 2) == pfn
    assert file.f_count == 1


def test_get_pfn_of_another_slots_page_fails(host: Host) -> None:
    file = gmem_slot(host)
    file.private_data.bindings[2].slot = None
    assert get_pfn(host, 2) == KVM_PFN_ERR_FAULT
    assert cached(file) == [None] * 4


def test_punch_hole_takes_the_page_from_everybody(host: Host) -> None:
    file = gmem_slot(host)
    kernel, kvm = host.kernel, host.kvm
    kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert kernel.run_guest_access(host.vcpu, 0x1000, False) == 0
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_gpc_activate(host.gpc, 0x1000, 8) == 0
    page = host.page(HVA)
    assert kvm.sptes[1].pfn == host.gpc.pfn == page.pfn
    before = kvm.gpc_invalidate_seq, kvm.mmu_invalidate_seq
    assert kernel.kvm_gmem_punch_hole(file, 1, 2) == 0
    assert (kvm.sptes[1].pfn, host.mm.ptes[HVA >> 12].pfn, host.gpc.valid) == (-1, -1, False)
    assert (page.free, page.mapcount, cached(file)) == (True, 0, [None] * 4)
    # guest_memfd's own invalidation has no part in pfncache's counters: the one that counts is the PTE's
    assert (kvm.mn_active_invalidate_count, kvm.mmu_invalidate_in_progress) == (0, 0)
    assert (kvm.gpc_invalidate_seq, kvm.mmu_invalidate_seq) == (before[0] + 1, before[1] + 2)


def test_punch_hole_where_nothing_is_bound_invalidates_nothing(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.kvm_gmem_punch_hole(file, 0, 1)
    assert (host.kvm.mmu_invalidate_seq, host.kvm.gpc_invalidate_seq) == (0, 0)


def test_invalidation_range_is_in_gfns(host: Host) -> None:
    file = gmem_slot(host, base_gfn=4)
    host.kernel.kvm_gmem_invalidate_start(file.f_mapping, 0, 3)
    assert (host.kvm.mmu_invalidate_range_start, host.kvm.mmu_invalidate_range_end) == (4, 6)
    assert host.kvm.mmu_invalidate_in_progress == 1
    host.kernel.kvm_gmem_invalidate_end(file.f_mapping, 0, 3)
    assert (host.kvm.mmu_invalidate_in_progress, host.kvm.mmu_invalidate_seq) == (0, 1)


def test_private_memory_cannot_be_touched(make_host: MakeHost) -> None:
    host = make_host(vm_type=KVM_X86_SW_PROTECTED_VM)
    file = gmem_slot(host, GUEST_MEMFD_FLAG_MMAP)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == -EFAULT
    assert cached(file) == [None] * 4


def test_fault_past_the_end(host: Host) -> None:
    file = host.kernel.kvm_gmem_create("gmem", host.kvm, 1, MAPPABLE)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == -EFAULT


@pytest.mark.parametrize(
    ("mode", "offset", "length", "errno"),
    [
        (0, 0, 0x1000, -EOPNOTSUPP),
        (2, 0, 0x1000, -EOPNOTSUPP),
        (1 | 0x10, 0, 0x1000, -EOPNOTSUPP),
        (1, 0x800, 0x1000, -EINVAL),
        (1, 0, 0x800, -EINVAL),
        (1, 0x3000, 0x2000, -EINVAL),
        (3, 0x3000, 0x2000, 0),
        (1, 0x1000, 0x2000, 0),
    ],
)
def test_fallocate(host: Host, mode: int, offset: int, length: int, errno: int) -> None:
    file = host.kernel.kvm_gmem_create("gmem", host.kvm, 4, MAPPABLE)
    assert host.kernel.kvm_gmem_fallocate(file, mode, offset, length) == errno
    allocated = [False, True, True, False] if (mode, errno) == (1, 0) else [False] * 4
    assert [pfn is not None for pfn in cached(file)] == allocated


def test_allocate_is_interrupted(host: Host) -> None:
    file = host.kernel.kvm_gmem_create("gmem", host.kvm, 4, MAPPABLE)
    current().signal_pending = True
    assert host.kernel.kvm_gmem_allocate(file, 0, 1) == -EINTR
    assert file.f_mapping.invalidate_lock.readers == 0


def test_mmap_checks(host: Host) -> None:
    mappable = host.kernel.kvm_gmem_create("mappable", host.kvm, 1, MAPPABLE)
    other = host.kernel.kvm_gmem_create("other", host.kvm, 1, 0)
    assert [host.kernel.kvm_gmem_mmap(mappable, shared) for shared in (True, False)] == [0, -EINVAL]
    assert host.kernel.kvm_gmem_mmap(other, True) == -ENODEV


def test_close(host: Host) -> None:
    file = gmem_slot(host)
    pfn = get_pfn(host, 1)
    host.kernel.put_page(host.kernel.mem_map[pfn])
    host.kernel.sys_close(file)
    assert (file.f_count, host.slot().gmem_file, cached(file)) == (0, None, [None] * 4)
    assert host.kernel.mem_map[pfn].free
    assert get_pfn(host, 1) == KVM_PFN_ERR_FAULT
    assert host.delete_slot() == 0


def test_mapping_keeps_the_file(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    host.kernel.sys_close(file)
    assert (file.f_count, host.slot().gmem_file) == (1, file)
    assert get_pfn(host, 1) >= 0
    host.kernel.vm_munmap(host.mm, HVA)
    assert host.slot().gmem_file is file  # until the task goes back to user space
    host.kernel.task_work_run(file)
    assert host.slot().gmem_file is None


def test_release_of_a_dying_file_is_for_the_task_that_dropped_it(host: Host) -> None:
    file = gmem_slot(host)
    other = host.kernel.kvm_gmem_create("other", host.kvm, 1, MAPPABLE)
    host.kernel.fput(file)
    assert current().delayed_fput is file
    assert get_pfn(host, 1) == KVM_PFN_ERR_FAULT  # it is dying
    host.kernel.task_work_run(other)
    assert (host.slot().gmem_file, other.f_mapping.gmem_listed) == (file, True)
    assert host.delete_slot() == 0  # the bindings go, for the release must not meet a freed slot
    assert [b.slot for b in file.private_data.bindings] == [None] * 4
    host.kernel.task_work_run(file)
    assert current().delayed_fput is None


def test_released_file_is_freed(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.sys_close(file)
    with pytest.raises(PropertyViolated) as splat:
        file.private_data.bindings[0].slot = None
    assert splat.value.kind == "use-after-free"


def test_memory_error(host: Host) -> None:
    file = gmem_slot(host)
    kernel = host.kernel
    assert kernel.run_guest_access(host.vcpu, 0x1000, False) == 0
    kernel.memory_failure(host.mm, HVA, file.f_mapping, 1)
    assert host.kvm.sptes[1].pfn == -1
    assert cached(file)[1] is not None  # it stays in the cache
    assert get_pfn(host, 1) == KVM_PFN_ERR_HWPOISON
    assert (host.kvm.mmu_invalidate_in_progress, file.f_mapping.invalidate_lock.readers) == (0, 0)


def test_no_direct_map(host: Host) -> None:
    file = gmem_slot(host, MAPPABLE | GUEST_MEMFD_FLAG_NO_DIRECT_MAP)
    kernel = host.kernel
    page = kernel.mem_map[get_pfn(host, 1)]
    assert (page.direct_map, page.direct_map_removed) == (False, True)
    kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert kernel.hva_to_pfn(HVA) == KVM_PFN_ERR_FAULT  # GUP refuses
    with srcu_read_lock(host.kvm.srcu):
        assert kernel.kvm_write_guest_page(host.kvm, 1, b"x", 0) == 0  # uaccess works
        assert kernel.kvm_gpc_activate(host.gpc, 0x1000, 8) == -EFAULT
    kernel.kvm_gmem_punch_hole(file, 0, 4)
    # restored as the page leaves the cache, although get_pfn()'s reference keeps it from the allocator
    assert (page.direct_map, page.direct_map_removed, page.free, page.refcount) == (True, False, False, 1)
