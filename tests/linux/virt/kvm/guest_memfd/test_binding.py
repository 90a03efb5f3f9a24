# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pfncache.linux.include.uapi.linux.errno import EEXIST, EINVAL
from tests.linux.conftest import HVA, Host
from tests.linux.virt.kvm.guest_memfd.helpers import MAPPABLE, gmem_slot


def test_bindings(host: Host) -> None:
    file = gmem_slot(host)
    kernel, kvm, slot = host.kernel, host.kvm, host.slot()
    assert [b.slot for b in file.private_data.bindings] == [None, slot, slot, slot]
    assert file.f_count == 1  # a slot has none
    assert kernel.set_memory_region(kvm, 1, 6, 1, HVA, gmem=file, gmem_pgoff=3) == -EEXIST
    assert kernel.set_memory_region(kvm, 1, 6, 2, HVA, gmem=file, gmem_pgoff=3) == -EINVAL
    assert kernel.set_memory_region(kvm, 1, 6, 1, HVA, gmem=file, gmem_pgoff=0) == 0
    assert file.f_count == 1
    host.delete_slot()
    assert [b.slot for b in file.private_data.bindings] == [host.slot(1), None, None, None]


def test_another_vms_file_is_refused(host: Host) -> None:
    other = host.kernel.kvm_create_vm("other", host.mm)
    file = host.kernel._kvm_gmem_create("gmem", other, 1, MAPPABLE)
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, gmem=file) == -EINVAL
    assert file.f_count == 1
