# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT
from pfncache.linux.include.linux.sched import current
from tests.linux.conftest import HVA, Host, reported
from tests.linux.virt.kvm.guest_memfd.helpers import MAPPABLE, get_pfn, gmem_slot


def test_mapping_keeps_the_file(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    host.kernel.filp_close(file)
    assert (file.f_count, host.slot().gmem_file) == (1, file)
    assert get_pfn(host, 1) >= 0
    host.kernel.vm_munmap(host.mm, HVA)
    assert host.slot().gmem_file is file  # until the task goes back to user space
    host.kernel.task_work_run(file)
    assert host.slot().gmem_file is None


def test_release_of_a_dying_file_is_for_the_task_that_dropped_it(host: Host) -> None:
    file = gmem_slot(host)
    other = host.kernel._kvm_gmem_create("other", host.kvm, 1, MAPPABLE)
    host.kernel.fput(file)
    assert current().delayed_fput is file
    assert get_pfn(host, 1) == KVM_PFN_ERR_FAULT  # it is dying
    host.kernel.task_work_run(other)
    assert (host.slot().gmem_file, other.f_mapping.gmem_listed) == (file, True)
    assert host.delete_slot() == 0  # the bindings go, for the release must not meet a freed slot
    assert [b.slot for b in file.private_data.bindings] == [None] * 4
    host.kernel.task_work_run(file)
    assert current().delayed_fput is None


def test_a_second_release_before_the_return_to_user_space_is_reported(host: Host) -> None:
    first, second = (host.kernel._kvm_gmem_create(name, host.kvm, 1, MAPPABLE) for name in ("first", "second"))
    host.kernel.fput(first)
    with reported("leak"):
        host.kernel.fput(second)
