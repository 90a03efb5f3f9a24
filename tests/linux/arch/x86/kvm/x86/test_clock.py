# SPDX-License-Identifier: GPL-2.0-only
"""kvm-clock and steal time: what the guest finds in its memory, and what is lost in silence."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi import KVM_X86_SNP_VM, KVM_X86_SW_PROTECTED_VM
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

GPA = 0x1040
CLOCK = HVA + GPA
PAGE = HVA + 0x1000
GUEST_STOPPED = 2
STEAL_PREEMPTED = 16
"""Offset of kvm_steal_time.preempted."""


class Clock(NamedTuple):
    """struct pvclock_vcpu_time_info."""

    version: int
    tsc_timestamp: int
    system_time: int
    tsc_to_system_mul: int
    tsc_shift: int
    flags: int


def clock(host: Host, hva: int = CLOCK) -> Clock:
    return Clock(*struct.unpack_from("<I4xQQIbB", host.page(hva).host_bytes, hva & 0xFFF))


def set_msr(host: Host, gpa: int = GPA, enable: bool = True) -> None:
    """Whatever becomes of it, the MSR is set."""
    assert host.kernel.set_msr_system_time(host.vcpu, gpa, enable) == 1


def update(host: Host) -> None:
    host.kernel.run_clock_update(host.vcpu)


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A VM with four pages of memory, which are logged."""
    made = make_host()
    made.add_slot(log_dirty=True)
    return made


def dirty(host: Host) -> list[int]:
    return [gfn for gfn, bit in enumerate(host.slot().dirty_bitmap) if bit.dirty]


# kvm-clock


def test_the_msr_looks_up_and_the_run_writes(host: Host) -> None:
    set_msr(host)
    assert (host.gpc.valid, host.vcpu.clock_update, dirty(host)) == (True, True, [])
    assert clock(host) == Clock(0, 0, 0, 0, 0, 0)
    update(host)
    assert clock(host) == Clock(2, 1, 1, 1 << 31, 1, 1)
    assert (host.vcpu.clock_update, dirty(host)) == (False, [1])


def test_only_the_structure_is_written(host: Host) -> None:
    host.kernel.copy_to_user(CLOCK - 4, b"\x77" * 40)
    set_msr(host)
    update(host)
    data = bytes(host.page(CLOCK).host_bytes[0x3C:0x64])
    assert (data[:4], data[36:]) == (b"\x77" * 4, b"\x77" * 4)
    assert data[8:12] == bytes(4)  # padding: the whole structure is copied


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 4), (3, 6), (6, 8), (0xFFFFFFFE, 0)])
def test_version_ends_even_and_moves_on(host: Host, before: int, after: int) -> None:
    host.kernel.copy_to_user(CLOCK, before.to_bytes(4, "little"))
    set_msr(host)
    update(host)
    assert clock(host).version == after


class Watching(Vmlinux):
    """Notes the version while the contents are written."""

    seen = -1

    def host_pvclock_payload(self, vcpu: KvmVcpu, gpc: object) -> None:
        self.seen = int.from_bytes(self.mem_map[0].host_bytes[0x40:0x44], "little")


def test_version_is_odd_while_the_contents_change(make_host: MakeHost) -> None:
    host = make_host(Watching)
    host.add_slot()
    set_msr(host)
    update(host)
    assert isinstance(host.kernel, Watching)
    assert (host.kernel.seen, clock(host).version) == (1, 2)


def test_guest_stopped_is_kept_and_other_flags_are_not(host: Host) -> None:
    host.kernel.copy_to_user(CLOCK + 29, bytes([0xF0 | GUEST_STOPPED]))
    set_msr(host)
    update(host)
    assert clock(host).flags == GUEST_STOPPED | 1


def test_time_goes_on(host: Host) -> None:
    set_msr(host)
    times = []
    for _ in range(3):
        update(host)
        times.append(clock(host).system_time)
    assert times == [1, 2, 3]


@pytest.mark.parametrize(("offset", "written"), [(0xFE0, True), (0xFE1, False)])
def test_a_structure_that_crosses_a_page_is_not_written(host: Host, offset: int, written: bool) -> None:
    set_msr(host, offset)
    update(host)
    assert (host.gpc.active, host.mm.ptes[HVA >> 12].pfn >= 0) == (written, written)


def test_a_refused_address_leaves_the_old_one(host: Host) -> None:
    set_msr(host)
    set_msr(host, 0x2FF0)
    update(host)
    assert (host.gpc.gpa, clock(host).version) == (GPA, 2)


def test_an_address_in_no_slot_is_silent_until_there_is_one(host: Host) -> None:
    set_msr(host, 0x6000)
    update(host)
    assert (host.gpc.active, host.gpc.valid) == (True, False)
    host.add_slot(base_gfn=6, npages=1, slot_id=1, hva=HVA + 0x3000)
    update(host)
    assert clock(host, HVA + 0x3000).version == 2


def test_an_unmapped_page_loses_the_update_and_keeps_the_cache(host: Host) -> None:
    set_msr(host)
    update(host)
    host.kernel.vm_munmap(host.mm, PAGE)
    update(host)
    assert (host.vcpu.clock_update, host.gpc.active, host.gpc.valid) == (False, True, False)
    host.kernel.vm_mmap_pgoff(host.mm, PAGE, None, 0)
    update(host)
    assert clock(host).version == 2  # of a new page
    assert current().preempt_count == current().irqs_disabled == current().srcu_depth == 0


def test_clock_off(host: Host) -> None:
    set_msr(host)
    update(host)
    set_msr(host, enable=False)
    update(host)
    assert (host.gpc.active, clock(host).version) == (False, 2)
    set_msr(host)
    host.kernel.kvmclock_reset(host.vcpu)
    assert not host.gpc.active


def test_clock_in_device_memory(host: Host) -> None:
    host.map_device(PAGE, 100)
    set_msr(host)
    update(host)
    area = host.kernel.vmap_areas[0]
    assert (area.busy, area.pfn, host.gpc.khva) == (True, 100, host.kernel.VMALLOC_START + 0x40)
    assert bytes(host.kernel.host_kernel_bytes(host.gpc.khva)[:4]) == b"\2\0\0\0"


# Steal time


def steal(host: Host, gpa: int = GPA) -> None:
    host.vcpu.st.cache.gpa = gpa
    host.kernel.run_steal_time_update(host.vcpu)


def preempted(host: Host) -> int:
    return host.page(CLOCK).host_bytes[(CLOCK & 0xFFF) + STEAL_PREEMPTED]


def test_steal_time_goes_through_the_user_address(host: Host) -> None:
    host.kernel.copy_to_user(CLOCK + STEAL_PREEMPTED, b"\1")
    steal(host)
    assert (preempted(host), dirty(host)) == (0, [1])
    assert not any(area.busy for area in host.kernel.vmap_areas)


def test_preemption_is_noted_in_its_own_byte(host: Host) -> None:
    steal(host)
    host.kernel.copy_to_user(CLOCK, bytes(range(1, 17)))
    host.kernel.kvm_sched_out(host.vcpu)
    data = bytes(host.page(CLOCK).host_bytes[0x40:0x52])
    assert data == bytes(range(1, 17)) + b"\1\0"
    assert not host.vcpu.rq.lock.held


def test_steal_time_without_memory_is_lost(host: Host) -> None:
    steal(host, 0x6000)
    assert dirty(host) == []
    host.kernel.vm_munmap(host.mm, PAGE)
    steal(host)
    assert dirty(host) == []


def test_steal_time_looks_its_address_up_again_after_a_slot_update(host: Host) -> None:
    steal(host)
    host.delete_slot()
    host.add_slot(hva=HVA + 0x1000, npages=2)
    steal(host)
    assert host.vcpu.st.cache.hva == HVA + 0x1000 + GPA
    assert (host.vcpu.st.cache.generation, host.vcpu.st.cache.memslot) == (host.generation, host.slot())


def test_steal_time_that_was_never_enabled(make_host: MakeHost) -> None:
    """A zeroed cache has the generation of a VM without memslots, and user address 0."""
    host = make_host()
    host.kernel.vm_mmap_pgoff(host.mm, 0, None, 0)
    host.kernel.run_steal_time_update(host.vcpu)
    host.kernel.kvm_sched_out(host.vcpu)
    assert host.mm.ptes[0].pfn == -1


def test_sched_out_takes_no_fault(host: Host) -> None:
    steal(host)
    host.kernel.madvise_dontneed(host.mm, PAGE)
    host.kernel.kvm_sched_out(host.vcpu)  # under the runqueue's lock: a fault would sleep
    assert (host.mm.ptes[CLOCK >> 12].pfn, current().pagefault_disabled) == (-1, False)


def test_sched_out_of_a_xen_guest_writes_no_steal_time(host: Host) -> None:
    steal(host)
    host.kvm.xen.hvm_config = True
    host.kernel.kvm_sched_out(host.vcpu)
    assert preempted(host) == 0


# What virt/kvm asks


@pytest.mark.parametrize(("vm_type", "private"), [(0, False), (KVM_X86_SW_PROTECTED_VM, True), (KVM_X86_SNP_VM, True)])
def test_private_memory_by_type(make_host: MakeHost, vm_type: int, private: bool) -> None:
    host = make_host(vm_type=vm_type)
    assert host.kernel.kvm_arch_has_private_mem(host.kvm) is private


@pytest.mark.parametrize(
    ("vm_type", "attribute", "assigned"),
    [(KVM_X86_SNP_VM, True, True), (KVM_X86_SNP_VM, False, False), (KVM_X86_SW_PROTECTED_VM, True, False)],
)
def test_a_private_page_is_the_guests_until_it_is_reclaimed(
    make_host: MakeHost, vm_type: int, attribute: bool, assigned: bool
) -> None:
    host = make_host(vm_type=vm_type)
    host.kvm.mem_attr_array[2].private = attribute
    assert host.kernel.kvm_arch_gmem_make_private(host.kvm, 2, 5) == 0
    assert host.kernel.mem_map[5].rmp_private is assigned
    host.kernel.kvm_arch_gmem_reclaim(5)
    assert not host.kernel.mem_map[5].rmp_private


def test_private_memory_under_the_clock_is_fatal(make_host: MakeHost) -> None:
    """pfncache asks neither attributes nor the RMP: what user space maps there is written."""
    host = make_host(vm_type=KVM_X86_SNP_VM)
    host.add_slot()
    set_msr(host)
    host.page(CLOCK).rmp_private = True
    with reported("private-access"):
        update(host)


def test_wall_clock(host: Host) -> None:
    host.add_slot(log_dirty=True)
    assert host.kernel.msr_io(host.vcpu, 0x4B564D00, 0x1040) == 1
    assert bytes(host.page(HVA + 0x1000).host_bytes[0x40:0x44]) == b"\2\0\0\0"
    assert [bit.dirty for bit in host.slot().dirty_bitmap[:4]] == [False, True, False, False]
    host.kernel.copy_to_user(HVA + 0x1040, b"\5")  # whatever was there
    host.kernel.msr_io(host.vcpu, 0x4B564D00, 0x1040)
    assert bytes(host.page(HVA + 0x1000).host_bytes[0x40:0x44]) == b"\x08\0\0\0"


def test_wall_clock_that_nobody_can_write(host: Host) -> None:
    host.add_slot()
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert host.kernel.msr_io(host.vcpu, 0x4B564D00, 0x1040) == 1
    assert host.kernel.msr_io(host.vcpu, 0x4B564D00, 0) == 1  # switched off
    assert not any(pte.pfn >= 0 for pte in host.mm.ptes)
