# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: ioctls of the VMM."""

from __future__ import annotations

import pytest

from pfncache.linux.include.uapi import (
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE,
    KVM_XEN_INVALID_GPA,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
    RUNSTATE_RUNNING,
)
from pfncache.linux.include.uapi.linux.errno import EINVAL
from tests.linux.arch.x86.kvm.xen.conftest import assert_no_lock_is_held, set_info, used
from tests.linux.conftest import Host

HCALL, UNSTABLE = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE


@pytest.mark.parametrize(
    ("msr", "errno"), [(0, 0), (0x3FFFFFFF, -EINVAL), (0x40000000, 0), (0x4FFFFFFF, 0), (0x50000000, -EINVAL)]
)
def test_msr_of_the_hypercall_page_is_a_synthetic_one(host: Host, msr: int, errno: int) -> None:
    host.kvm.xen.hvm_config = False
    assert host.kernel.kvm_xen_hvm_config(host.kvm, HCALL, msr) == errno
    assert host.kvm.xen.hvm_config is (msr != 0 and errno == 0)


@pytest.mark.parametrize(("flags", "requested"), [(HCALL, False), (HCALL | UNSTABLE, True)])
def test_another_kind_of_clock_is_written_at_the_next_run(host: Host, flags: int, requested: bool) -> None:
    assert host.kernel.kvm_xen_hvm_config(host.kvm, flags, 0x40000000) == 0
    assert host.vcpu.clock_update is requested


def test_clock_is_written_where_vcpu_info_is_set(host: Host) -> None:
    assert set_info(host, 0x6000) != 0
    assert not host.vcpu.clock_update
    assert set_info(host) == 0
    assert host.vcpu.clock_update


def test_both_pages_of_the_runstate_area_go_at_once(host: Host) -> None:
    host.kernel.set_runstate_area(host.vcpu, 0x2FF0)
    kernel = host.kernel
    held: list[bool] = []
    deactivate = kernel.kvm_gpc_deactivate

    def noted(gpc: object) -> None:
        held.append(host.kvm.xen.xen_lock.held)
        deactivate(host.vcpu.xen.runstate_cache if len(held) == 1 else host.vcpu.xen.runstate2_cache)

    kernel.__dict__["kvm_gpc_deactivate"] = noted
    assert kernel.kvm_xen_vcpu_set_attr(host.vcpu, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, KVM_XEN_INVALID_GPA, 0) == 0
    assert held == [True, True]
    assert not host.vcpu.xen.runstate_cache.active and not host.vcpu.xen.runstate2_cache.active
    assert_no_lock_is_held(host)


def test_runstate_is_written_at_each_run(host: Host) -> None:
    host.kernel.set_runstate_area(host.vcpu, 0x2000)
    host.vcpu.xen.host_runstate = RUNSTATE_RUNNING
    used(host)
    host.kernel.run_runstate_update(host.vcpu)
    assert used(host) == ["runstate"]
