# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.linux.include.uapi import HV_X64_MSR_SIEFP, HV_X64_MSR_SIMP, PAGE_SIZE
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from tests.linux.conftest import HVA, Host

FULL, CLEAR = b"\xff" * PAGE_SIZE, bytes(PAGE_SIZE)


def wrmsr(host: Host, msr: int, data: int, by_user: bool) -> int:
    with vcpu_loaded(host.vcpu), srcu_read_lock(host.kvm.srcu):
        return host.kernel.kvm_hv_set_msr_common(host.vcpu, msr, data, by_user)


def with_synic(host: Host, dont_zero: bool = False) -> None:
    host.add_slot()
    host.vcpu.synic.active, host.vcpu.synic.dont_zero_synic_pages = True, dont_zero
    host.kernel.user_access_retry(HVA, True)
    host.page(HVA).host_bytes[:] = FULL


@pytest.mark.parametrize("msr", [HV_X64_MSR_SIEFP, HV_X64_MSR_SIMP])
def test_guest_that_enables_a_page_has_it_cleared(host: Host, msr: int) -> None:
    with_synic(host)
    assert wrmsr(host, msr, 1, False) == 0
    assert bytes(host.page(HVA).host_bytes) == CLEAR
    synic = host.vcpu.synic
    assert (synic.host_evt_page, synic.host_msg_page) == ((1, 0) if msr == HV_X64_MSR_SIEFP else (0, 1))


@pytest.mark.parametrize(("data", "by_user", "dont_zero"), [(0, False, False), (1, True, False), (1, False, True)])
def test_page_is_not_cleared(host: Host, data: int, by_user: bool, dont_zero: bool) -> None:
    with_synic(host, dont_zero)
    assert wrmsr(host, HV_X64_MSR_SIMP, data, by_user) == 0
    assert bytes(host.page(HVA).host_bytes) == FULL
    assert host.vcpu.synic.host_msg_page == data


def test_page_without_memory_is_refused_and_not_stored(host: Host) -> None:
    with_synic(host)
    assert wrmsr(host, HV_X64_MSR_SIMP, 20 * PAGE_SIZE | 1, False) == 1
    assert host.vcpu.synic.host_msg_page == 0


@pytest.mark.parametrize(("data", "by_user", "expected"), [(0, True, 0), (1, True, 1), (0, False, 1), (1, False, 1)])
def test_vcpu_without_a_synic(host: Host, data: int, by_user: bool, expected: int) -> None:
    host.add_slot()
    assert wrmsr(host, HV_X64_MSR_SIMP, data, by_user) == expected
    assert wrmsr(host, 0x40000084, data, by_user) == 1
