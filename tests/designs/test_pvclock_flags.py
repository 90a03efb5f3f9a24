# SPDX-License-Identifier: GPL-2.0-only
"""Flags of the PV clocks of a vCPU: kvm-clock, vcpu_info, the vCPU's time information; 1 is stable, 2 stopped.

The values are those of arch/x86/kvm/x86.c of 7.3.4 and 6.12.117. The stopped flag is set in kvm-clock alone since 6.15
(24c166378026, 93fb0b10e712); before, the clocks of an update share their flags.
"""

from __future__ import annotations

import pytest

import pfncache
from pfncache.linux.include.uapi import (
    KVM_MSR_ENABLED,
    KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
)

FLAGS = 29
"""Offset of the flags in struct pvclock_vcpu_time_info."""


def flags(design: str, stop: bool = False, off: bool = False, config: int = 0) -> tuple[int, int, int]:
    with pfncache.model(design) as host:
        vm = host.create_vm()
        vcpu = vm.create_vcpu()
        hva = host.mmap(4 * PAGE_SIZE)
        vm.set_user_memory_region(0, 0, 4 * PAGE_SIZE, hva)
        vm.xen_hvm_config(config)
        vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, 0 | KVM_MSR_ENABLED)
        vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, 0x1000)
        vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, 0x2000)
        vcpu.run()
        if stop:
            vcpu.kvmclock_ctrl()
        if off:
            vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, 0)
        vm.set_clock(10**9)
        vcpu.run()
        places = (hva, hva + 0x1000 + 32, hva + 0x2000)
        kvmclock, info, time_info = (host.read(place, 32)[FLAGS] for place in places)
        return kvmclock, info, time_info


@pytest.mark.parametrize(
    ("design", "stopped", "without_kvmclock"),
    [
        ("mainline-7.3", (3, 1, 1), (1, 1, 1)),
        ("mainline-7.2", (3, 1, 1), (1, 1, 1)),
        ("mainline-6.18", (3, 1, 1), (1, 1, 1)),
        ("mainline-6.12", (3, 3, 3), (1, 3, 3)),
    ],
)
def test_guest_stopped(design: str, stopped: tuple[int, int, int], without_kvmclock: tuple[int, int, int]) -> None:
    assert flags(design, stop=True) == stopped
    assert flags(design, stop=True, off=True) == without_kvmclock


@pytest.mark.parametrize("design", ["mainline-7.3", "mainline-6.12"])
def test_unstable_tsc_is_for_the_clocks_of_xen_guests_alone(design: str) -> None:
    assert flags(design, config=KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE) == (1, 0, 0)
