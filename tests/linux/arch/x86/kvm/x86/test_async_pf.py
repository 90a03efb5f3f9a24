# SPDX-License-Identifier: GPL-2.0-only
"""The guest is told that pages are ready, through a gfn_to_hva_cache."""

from __future__ import annotations

import pytest

from tests.linux.conftest import HVA, Host

ENABLE, ACK = 0x4B564D02, 0x4B564D07
ENABLED_AS_INT = 9


@pytest.fixture
def host_with_apic(host: Host) -> Host:
    host.vcpu.apic_enabled = True
    host.add_slot(log_dirty=True)
    return host


def token(host: Host) -> bytes:
    return bytes(host.page(HVA + 0x1000).host_bytes[0x44:0x48])


def set_msrs(host: Host, *pairs: tuple[int, int]) -> list[int]:
    return [host.kernel.msr_io(host.vcpu, index, data) for index, data in pairs]


def test_guest_is_told_once_it_has_asked(host_with_apic: Host) -> None:
    host = host_with_apic
    assert set_msrs(host, (ENABLE, 0x1040 | ENABLED_AS_INT), (ACK, 1)) == [1, 1]
    assert token(host) == b"\xff" * 4
    assert host.vcpu.apf.pageready_pending
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, True, False, False]


def test_guest_is_not_told_before_it_has_taken_note(host_with_apic: Host) -> None:
    """The token in its memory is not zero."""
    host = host_with_apic
    set_msrs(host, (ENABLE, 0x1040 | ENABLED_AS_INT))
    host.kernel.copy_to_user(HVA + 0x1044, b"busy")
    set_msrs(host, (ACK, 1))
    assert (token(host), host.vcpu.apf.wakeup_all) == (b"busy", True)
    host.kernel.copy_to_user(HVA + 0x1044, bytes(4))
    set_msrs(host, (ACK, 1))
    assert (token(host), host.vcpu.apf.wakeup_all) == (b"\xff" * 4, False)


def test_memory_that_cannot_be_reached_is_silent(host_with_apic: Host) -> None:
    host = host_with_apic
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert set_msrs(host, (ENABLE, 0x1040 | ENABLED_AS_INT), (ACK, 1)) == [1, 1]
    assert not host.vcpu.apf.pageready_pending


def test_refused_without_memslot_and_without_apic(host: Host) -> None:
    host.vcpu.apic_enabled = True
    assert set_msrs(host, (ENABLE, 0x1040 | ENABLED_AS_INT)) == [0]
    assert not host.vcpu.apf.enabled
    host.vcpu.apic_enabled = False
    host.add_slot()
    assert set_msrs(host, (ENABLE, 0x1040 | ENABLED_AS_INT), (ENABLE, 0), (ENABLE, 0x1040)) == [0, 1, 0]


def test_switched_off(host_with_apic: Host) -> None:
    host = host_with_apic
    set_msrs(host, (ENABLE, 0x1040 | ENABLED_AS_INT), (ENABLE, 0), (ACK, 1))
    assert not host.vcpu.apf.pageready_pending
    assert host.mm.ptes[(HVA >> 12) + 1].pfn < 0
