# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: kvm-clock."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

GPA = 0x1040
CLOCK = HVA + GPA
PAGE = HVA + 0x1000
GUEST_STOPPED = 2


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
    return [gfn for gfn, bit in enumerate(host.dirty_bits()) if bit.dirty]


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
