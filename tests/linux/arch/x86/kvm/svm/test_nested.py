# SPDX-License-Identifier: GPL-2.0-only
"""L1's VMCB is mapped for the entry of L2, and again for its exit."""

from __future__ import annotations

from pfncache.linux.arch.x86.include.asm.svm import SVM_EXIT_HLT, VMCB_EXIT_CODE
from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from tests.linux.conftest import HVA, Host


def vmrun(host: Host, vmcb: int = 0x1000) -> int:
    with vcpu_loaded(host.vcpu), srcu_read_lock(host.kvm.srcu):
        return host.kernel.nested_svm_vmrun(host.vcpu, vmcb)


def vmexit(host: Host) -> bool:
    with vcpu_loaded(host.vcpu), srcu_read_lock(host.kvm.srcu):
        return host.kernel.nested_svm_vmexit(host.vcpu, SVM_EXIT_HLT)


def exit_code(host: Host, page: int) -> int:
    return int.from_bytes(host.page(HVA + page).host_bytes[VMCB_EXIT_CODE : VMCB_EXIT_CODE + 8], "little")


def test_exit_is_written_and_both_maps_mark_the_page(host: Host) -> None:
    host.add_slot(log_dirty=True)
    assert vmrun(host) == 0
    assert [bit.dirty for bit in host.dirty_bits()[:3]] == [False, True, False]
    assert exit_code(host, 0x1000) == 0
    host.dirty_bits()[1].dirty = False
    assert vmexit(host)
    assert [bit.dirty for bit in host.dirty_bits()[:3]] == [False, True, False]
    assert exit_code(host, 0x1000) == SVM_EXIT_HLT
    assert host.vcpu.host_vmcb12_gpa == INVALID_GPA


def test_nothing_is_pinned_while_l2_runs(host: Host) -> None:
    host.add_slot()
    assert vmrun(host) == 0
    page = host.page(HVA + 0x1000)
    assert page.refcount == 1  # the PTE's
    host.kernel.madvise_dontneed(host.mm, HVA + 0x1000)
    assert page.free
    assert vmexit(host)
    assert exit_code(host, 0x1000) == SVM_EXIT_HLT


def test_vmcb_that_cannot_be_mapped(host: Host) -> None:
    host.add_slot()
    assert vmrun(host, 0x6000) == -EFAULT
    assert host.vcpu.host_vmcb12_gpa == INVALID_GPA
    assert vmrun(host) == 0
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert not vmexit(host)
