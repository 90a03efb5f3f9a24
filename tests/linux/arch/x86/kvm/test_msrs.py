# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.linux.include.uapi.linux.errno import EINVAL
from tests.linux.conftest import HVA, Host, MakeHost

CLOCK, OLD_CLOCK, STEAL = 0x4B564D01, 0x12, 0x4B564D03
STOPPED = 2


def pvclock(host: Host, offset: int = 0) -> tuple[int, int, int]:
    """Version, time and flags."""
    data = host.page(HVA).host_bytes[offset : offset + 32]
    return int.from_bytes(data[:4], "little"), int.from_bytes(data[16:24], "little"), data[29]


def test_clock_msrs_share_what_they_read_back(host: Host) -> None:
    host.add_slot()
    for index, data in ((CLOCK, 0x41), (OLD_CLOCK, 0x81), (CLOCK, 0x1FF1), (CLOCK, 0)):
        assert host.kernel.msr_io(host.vcpu, index, data) == 1
        assert [host.kernel.kvm_get_msr_common(host.vcpu, i) for i in (CLOCK, OLD_CLOCK)] == [data, data]


@pytest.mark.parametrize(("index", "data"), [(0x99, 0), (STEAL, 0x3F)])
def test_refused_msrs(host: Host, index: int, data: int) -> None:
    assert host.kernel.msr_io(host.vcpu, index, data) == 0


def test_set_clock_is_served_by_the_next_run(host: Host) -> None:
    host.add_slot()
    host.kernel.msr_io(host.vcpu, CLOCK, 1)
    host.kernel.vcpu_enter_guest(host.vcpu)
    assert host.kernel.kvm_vm_ioctl_set_clock(host.kvm, 5000) == 0
    assert pvclock(host)[0] == 2
    host.kernel.vcpu_enter_guest(host.vcpu)
    version, time, _ = pvclock(host)
    assert (version, time) == (4, 5001)
    host.kernel.vcpu_enter_guest(host.vcpu)
    assert pvclock(host)[0] == 4
    assert host.kernel.get_kvmclock_ns(host.kvm) > time


@pytest.mark.parametrize(("design", "versions"), [("mainline-7.3", (2, 2)), ("mainline-6.18", (4, 4))])
def test_put_off_update(make_host: MakeHost, design: str, versions: tuple[int, int]) -> None:
    """Once for each setting up, on the kernels that do it."""
    host = make_host(DESIGNS[design].kernel())
    host.add_slot()
    host.kernel.msr_io(host.vcpu, CLOCK, 1)
    host.kernel.vcpu_enter_guest(host.vcpu)
    for expected in versions:
        host.kernel.flush_delayed_work(host.kvm)
        host.kernel.vcpu_enter_guest(host.vcpu)
        assert pvclock(host)[0] == expected


def test_guest_is_told_that_it_was_stopped_until_it_says_that_it_knows(host: Host) -> None:
    host.add_slot()
    assert host.kernel.kvm_set_guest_paused(host.vcpu) == -EINVAL
    host.kernel.msr_io(host.vcpu, CLOCK, 1)
    assert host.kernel.kvm_set_guest_paused(host.vcpu) == 0
    host.kernel.vcpu_enter_guest(host.vcpu)
    assert pvclock(host)[2] & STOPPED
    host.kernel.kvm_vm_ioctl_set_clock(host.kvm, 0)
    host.kernel.vcpu_enter_guest(host.vcpu)
    assert pvclock(host)[2] & STOPPED
    host.page(HVA).host_bytes[29] &= ~STOPPED
    host.kernel.kvm_vm_ioctl_set_clock(host.kvm, 0)
    host.kernel.vcpu_enter_guest(host.vcpu)
    assert not pvclock(host)[2] & STOPPED


@pytest.mark.parametrize(("design", "kept"), [("mainline-7.3", False), ("mainline-6.12", True)])
def test_request_of_a_clock_that_cannot_be_written_is_lost(make_host: MakeHost, design: str, kept: bool) -> None:
    """kvm_guest_time_update() clears it before; until 6.15 (93fb0b10e712) the write itself did."""
    host = make_host(DESIGNS[design].kernel())
    host.add_slot()
    host.kernel.msr_io(host.vcpu, CLOCK, 1)
    host.kernel.vcpu_enter_guest(host.vcpu)
    host.kernel.kvm_set_guest_paused(host.vcpu)
    host.kernel.vm_munmap(host.mm, HVA)
    host.kernel.vcpu_enter_guest(host.vcpu)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, None, 0)
    host.kernel.kvm_vm_ioctl_set_clock(host.kvm, 0)
    host.kernel.vcpu_enter_guest(host.vcpu)
    assert (pvclock(host)[0], bool(pvclock(host)[2] & STOPPED)) == (2, kept)


def test_steal_time(host: Host) -> None:
    host.add_slot(log_dirty=True)
    assert host.kernel.msr_io(host.vcpu, STEAL, 0x41) == 1
    for version in (2, 4):
        host.kernel.vcpu_enter_guest(host.vcpu)
        assert int.from_bytes(host.page(HVA).host_bytes[0x48:0x4C], "little") == version
    assert host.dirty_bits()[0].dirty
    host.kernel.msr_io(host.vcpu, STEAL, 0)
    host.kernel.vcpu_enter_guest(host.vcpu)
    assert int.from_bytes(host.page(HVA).host_bytes[0x48:0x4C], "little") == 4
    assert host.kernel.kvm_get_msr_common(host.vcpu, STEAL) == 0


def test_steal_time_whose_memory_comes_later(host: Host) -> None:
    host.add_slot(npages=1)
    host.kernel.msr_io(host.vcpu, STEAL, 0x41)
    host.kernel.msr_io(host.vcpu, STEAL, 0x1041)
    host.kernel.vcpu_enter_guest(host.vcpu)
    host.add_slot(base_gfn=1, npages=1, slot_id=1, hva=HVA + 0x1000)
    host.kernel.vcpu_enter_guest(host.vcpu)
    assert int.from_bytes(host.page(HVA + 0x1000).host_bytes[0x48:0x4C], "little") == 2
    assert host.mm.ptes[HVA >> 12].pfn == -1


@pytest.mark.parametrize(("before", "after"), [(0xFFFFFFFF, 2), (0xFFFFFFFE, 0)])
def test_version_of_the_wall_clock_wraps(host: Host, before: int, after: int) -> None:
    host.add_slot()
    host.kernel.copy_to_user(HVA + 0x1040, before.to_bytes(4, "little"))
    assert host.kernel.msr_io(host.vcpu, 0x4B564D00, 0x1040) == 1
    assert int.from_bytes(host.page(HVA + 0x1000).host_bytes[0x40:0x44], "little") == after


def test_wall_clock(host: Host) -> None:
    host.add_slot(log_dirty=True)
    assert host.kernel.msr_io(host.vcpu, 0x4B564D00, 0x1040) == 1
    assert bytes(host.page(HVA + 0x1000).host_bytes[0x40:0x44]) == b"\2\0\0\0"
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, True, False, False]
    host.kernel.copy_to_user(HVA + 0x1040, b"\5")  # whatever was there
    host.kernel.msr_io(host.vcpu, 0x4B564D00, 0x1040)
    assert bytes(host.page(HVA + 0x1000).host_bytes[0x40:0x44]) == b"\x08\0\0\0"


def test_wall_clock_that_nobody_can_write(host: Host) -> None:
    host.add_slot()
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert host.kernel.msr_io(host.vcpu, 0x4B564D00, 0x1040) == 1
    assert host.kernel.msr_io(host.vcpu, 0x4B564D00, 0) == 1  # switched off
    assert not any(pte.pfn >= 0 for pte in host.mm.ptes)
