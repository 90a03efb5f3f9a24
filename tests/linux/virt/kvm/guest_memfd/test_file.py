# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi import (
    KVM_X86_SW_PROTECTED_VM,
)
from pfncache.linux.include.uapi.linux.errno import EBADF, EINTR, EINVAL, ENODEV, EOPNOTSUPP
from tests.linux.conftest import HVA, Host, MakeHost
from tests.linux.virt.kvm.guest_memfd.helpers import MAPPABLE, cached, get_pfn, gmem_slot


def test_create_checks(make_host: MakeHost) -> None:
    host = make_host()
    check = host.kernel.kvm_gmem_create
    assert [check(host.kvm, 0x1000, flags) for flags in range(5)] == [0, 0, 0, 0, -EINVAL]
    assert [check(host.kvm, size, 0) for size in (0, -0x1000, 0x1800, 0x2000)] == [-EINVAL, -EINVAL, -EINVAL, 0]
    assert [check(host.kvm, size, 0) for size in (1 << 63, (1 << 63) - 0x1000)] == [-EINVAL, 0]
    private = make_host(vm_type=KVM_X86_SW_PROTECTED_VM)
    assert [check(private.kvm, 0x1000, flags) for flags in range(4)] == [0, 0, -EINVAL, -EINVAL]


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
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 4, MAPPABLE)
    assert host.kernel.kvm_gmem_fallocate(file, mode, offset, length) == errno
    allocated = [False, True, True, False] if (mode, errno) == (1, 0) else [False] * 4
    assert [pfn is not None for pfn in cached(file)] == allocated


def test_allocate_is_interrupted(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 4, MAPPABLE)
    current().signal_pending = True
    assert host.kernel.kvm_gmem_allocate(file, 0, 1) == -EINTR
    assert file.f_mapping.invalidate_lock.readers == 0


def test_mmap_checks(host: Host) -> None:
    mappable = host.kernel._kvm_gmem_create("mappable", host.kvm, 1, MAPPABLE)
    other = host.kernel._kvm_gmem_create("other", host.kvm, 1, 0)
    assert [host.kernel.kvm_gmem_mmap(mappable, shared) for shared in (True, False)] == [0, -EINVAL]
    assert host.kernel.kvm_gmem_mmap(other, True) == -ENODEV


def test_close(host: Host) -> None:
    file = gmem_slot(host)
    pfn = get_pfn(host, 1)
    host.kernel.put_page(host.kernel.mem_map[pfn])
    host.kernel.filp_close(file)
    assert (file.f_count, host.slot().gmem_file) == (0, None)
    assert host.kernel.mem_map[pfn].free
    assert get_pfn(host, 1) == KVM_PFN_ERR_FAULT
    assert host.delete_slot() == 0


def test_closed_file_refuses_operations(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.filp_close(file)
    assert host.kernel.kvm_gmem_punch_hole(file, 0, 4) == -EBADF
    assert host.kernel.kvm_gmem_allocate(file, 0, 4) == -EBADF
    assert host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0) == -EBADF
    assert host.delete_slot() == 0
    assert host.kernel.set_memory_region(host.kvm, 0, 1, 3, HVA, gmem=file, gmem_pgoff=1) == -EBADF


def test_inode_is_freed_with_its_file(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.filp_close(file)
    with pytest.raises(PropertyViolated) as splat:
        cached(file)
    assert splat.value.kind == "use-after-free"


def test_released_file_is_freed(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.filp_close(file)
    with pytest.raises(PropertyViolated) as splat:
        file.private_data.bindings[0].slot = None
    assert splat.value.kind == "use-after-free"
