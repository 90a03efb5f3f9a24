# SPDX-License-Identifier: GPL-2.0-only
"""KVM walks the guest's page tables through the userspace mapping."""

from __future__ import annotations

import pytest

from pfncache.lang.tracing import run_as
from pfncache.linux.arch.x86.kvm.mmu.mmu import RET_PF_RETRY
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, reported


def walk(host: Host, gpa: int) -> int:
    return host.kernel.kvm_mmu_gva_to_gpa_read(host.vcpu, gpa)


def dirty(host: Host) -> list[bool]:
    return [bit.dirty for bit in host.dirty_bits()[:4]]


def test_walk_sets_the_accessed_bit_and_marks_the_page(host: Host) -> None:
    host.add_slot(base_gfn=2, log_dirty=True)
    assert walk(host, 0x3008) == 0
    assert dirty(host) == [False, True, False, False]
    assert host.mm.ptes[(HVA >> 12) + 1].pfn >= 0  # faulted in


@pytest.mark.parametrize("gpa", [0x1000, 0x6000])
def test_table_in_no_slot(host: Host, gpa: int) -> None:
    host.add_slot(base_gfn=2)
    assert walk(host, gpa) == -EFAULT


def test_table_that_is_not_mapped(host: Host) -> None:
    host.add_slot(log_dirty=True)
    host.kernel.vm_munmap(host.mm, HVA)
    assert walk(host, 0) == -EFAULT
    assert dirty(host) == [False] * 4


def test_table_that_cannot_be_written(host: Host) -> None:
    """A slot that may be written, but not its memory: the accessed bit cannot be set."""
    host.add_slot(log_dirty=True)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert walk(host, 0) == -EFAULT
    assert dirty(host) == [False] * 4


def test_table_in_a_readonly_slot_is_walked_without_the_accessed_bit(host: Host) -> None:
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, readonly=True) == 0
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert walk(host, 0) == 0


def test_accessed_bit_is_set_in_the_entry(host: Host) -> None:
    host.add_slot()
    host.kernel.copy_to_user(HVA + 0x10, bytes([0x87]))
    assert walk(host, 0x10) == 0
    assert host.page(HVA).host_bytes[0x10] == 0xA7


def test_translation(host: Host) -> None:
    host.add_slot()
    host.kernel.copy_to_user(HVA + 8, (0x40000087).to_bytes(8, "little"))
    assert host.kernel.kvm_arch_vcpu_ioctl_translate(host.vcpu, 8) == 0x40000000
    assert host.kernel.kvm_arch_vcpu_ioctl_translate(host.vcpu, 16) == INVALID_GPA  # not present
    assert bytes(host.page(HVA).host_bytes[8:24]) == (0x400000A7).to_bytes(8, "little") + bytes(8)
    assert host.kernel.kvm_arch_vcpu_ioctl_translate(host.vcpu, 0x6000) == INVALID_GPA  # no slot


# The shadow of an entry

FIRST, SECOND = 0x5067, 0x6067


def write_entry(host: Host, value: int) -> None:
    assert host.kernel.copy_to_user(HVA + 8, value.to_bytes(8, "little"))


def fault(host: Host) -> int:
    with vcpu_loaded(host.vcpu), srcu_read_lock(host.kvm.srcu):
        return host.kernel.page_fault(host.vcpu, 8)


def sync(host: Host) -> int:
    with srcu_read_lock(host.kvm.srcu), write_lock(host.kvm.mmu_lock):
        return host.kernel.sync_spte(host.vcpu)


def sync_roots(host: Host) -> None:
    with srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_mmu_sync_roots(host.vcpu)


def test_entry_is_shadowed_with_its_accessed_bit(host: Host) -> None:
    host.add_slot(log_dirty=True)
    write_entry(host, 0x5007)
    assert fault(host) == 0
    shadow = host.vcpu.shadow
    assert (shadow.gpa, shadow.gpte, shadow.unsync) == (8, 0x5027, False)
    assert dirty(host) == [True, False, False, False]


@pytest.mark.parametrize("entry", [0, 0x5066])
def test_entry_that_is_not_present(host: Host, entry: int) -> None:
    host.add_slot()
    write_entry(host, entry)
    assert fault(host) == -EFAULT
    assert host.vcpu.shadow.gpa == INVALID_GPA


def test_entry_that_changes_between_the_walk_and_the_lock_is_a_retry(host: Host) -> None:
    class Changes(Vmlinux):
        def walk_addr_generic(self, vcpu: KvmVcpu, table: int, accessed: bool) -> int:
            ret = super().walk_addr_generic(vcpu, table, accessed)
            self.copy_to_user(HVA + 8, SECOND.to_bytes(8, "little"))
            return ret

    other = Host(Changes())
    with run_as(TaskStruct("task", mm=other.mm)):
        other.add_slot()
        write_entry(other, FIRST)
        assert fault(other) == RET_PF_RETRY
        assert other.vcpu.shadow.gpa == INVALID_GPA


@pytest.mark.parametrize(("entry", "ret"), [(FIRST, 0), (FIRST & ~0x40, 0), (SECOND, 1), (0, 1)])
def test_sync_reads_the_entry_again(host: Host, entry: int, ret: int) -> None:
    host.add_slot()
    write_entry(host, FIRST)
    fault(host)
    write_entry(host, entry)
    assert sync(host) == ret
    assert host.vcpu.shadow.gpa == (INVALID_GPA if ret else 8)


def test_sync_of_an_entry_that_cannot_be_read(host: Host) -> None:
    host.add_slot()
    write_entry(host, FIRST)
    fault(host)
    host.kernel.madvise_dontneed(host.mm, HVA)
    assert sync(host) == -1
    assert host.mm.ptes[HVA >> 12].pfn < 0


@pytest.mark.parametrize("unsync", [False, True])
def test_roots_are_synced_after_a_write_of_the_guest_alone(host: Host, unsync: bool) -> None:
    """What cannot be read is zapped; a table that the guest has not changed is not read."""
    host.add_slot()
    write_entry(host, FIRST)
    fault(host)
    with write_lock(host.kvm.mmu_lock):
        host.kernel.mmu_try_to_unsync_pages(host.vcpu, 1)
        assert not host.vcpu.shadow.unsync
        if unsync:
            host.kernel.mmu_try_to_unsync_pages(host.vcpu, 0)
    host.kernel.vm_munmap(host.mm, HVA)
    sync_roots(host)
    assert host.vcpu.shadow.gpa == (INVALID_GPA if unsync else 8)
    assert not host.vcpu.shadow.unsync


def test_write_protection_and_zap_need_mmu_lock(host: Host) -> None:
    host.vcpu.shadow.gpa, host.vcpu.shadow.unsync = 8, True
    for change in (host.kernel.kvm_tdp_mmu_write_protect_gfn, host.kernel.kvm_mmu_prepare_zap_page):
        with reported("lock-assertion"):
            change(host.kvm, host.vcpu)
        with write_lock(host.kvm.mmu_lock):
            change(host.kvm, host.vcpu)
    assert (host.vcpu.shadow.gpa, host.vcpu.shadow.unsync) == (INVALID_GPA, False)
