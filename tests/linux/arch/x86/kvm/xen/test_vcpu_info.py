# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: vcpu_info."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENXIO
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.arch.x86.kvm.xen.conftest import (
    RUNSTATE,
    assert_no_lock_is_held,
    dirty,
    set_info,
    used,
)
from tests.linux.conftest import HVA, Host


def test_vcpu_info_goes(ready: Host) -> None:
    ready.kernel.disable_vcpu_info(ready.vcpu, ready.vcpu.xen.vcpu_info_cache)
    assert not ready.vcpu.xen.vcpu_info_cache.active
    assert set_info(ready, 0xFE0) == -EINVAL  # would cross a page


@pytest.mark.parametrize(("gpa", "answer"), [(0x1001, -ENXIO), (0x1002, -ENXIO), (0x1004, 0)])
def test_vcpu_info_is_aligned(host: Host, gpa: int, answer: int) -> None:
    """Its bits are set atomically (since 7.3.2: eacdb76c5f04). The guest's runstate may be anywhere."""
    assert set_info(host, gpa) == answer
    assert host.vcpu.xen.vcpu_info_cache.active is (answer == 0)
    assert set_runstate(host, gpa) == 0


def test_interrupt_is_looked_for_in_vcpu_info(ready: Host) -> None:
    assert ready.kernel.kvm_xen_has_interrupt(ready.vcpu)
    ready.kernel.madvise_dontneed(ready.mm, HVA + 0x1000)
    assert ready.kernel.kvm_xen_has_interrupt(ready.vcpu)
    assert (used(ready), dirty(ready)) == (["vcpu_info", "vcpu_info"], [])
    ready.kernel.vm_munmap(ready.mm, HVA + 0x1000)
    assert not ready.kernel.kvm_xen_has_interrupt(ready.vcpu)
    assert_no_lock_is_held(ready)


def test_no_interrupt_without_vcpu_info(host: Host) -> None:
    assert not host.kernel.kvm_xen_has_interrupt(host.vcpu)
    assert used(host) == []


@pytest.mark.parametrize("where", ["preempt_count", "interruptible"])
def test_interrupt_is_assumed_where_vcpu_info_cannot_be_looked_up(ready: Host, where: str) -> None:
    ready.kernel.vm_munmap(ready.mm, HVA + 0x1000)
    setattr(current(), where, 1)
    with srcu_read_lock(ready.kvm.srcu):
        assert ready.kernel.kvm_xen_has_interrupt(ready.vcpu)
    assert used(ready) == []


def test_halted_vcpu_does_not_sleep_when_it_cannot_know(ready: Host) -> None:
    ready.kernel.madvise_dontneed(ready.mm, HVA + 0x1000)
    assert not ready.kernel.kvm_vcpu_block(ready.vcpu)
    assert (used(ready), current().interruptible, ready.mm.ptes[(HVA >> 12) + 1].pfn) == ([], False, -1)


def test_halted_vcpu_without_vcpu_info_sleeps(host: Host) -> None:
    assert host.kernel.kvm_vcpu_block(host.vcpu)


def set_runstate(host: Host, gpa: int = RUNSTATE) -> int:
    return host.kernel.set_runstate_area(host.vcpu, gpa)


def test_destroyed_vcpu_has_no_caches(ready: Host) -> None:
    set_runstate(ready, 0x2FF0)
    ready.kernel.kvm_xen_destroy_vcpu(ready.vcpu)
    assert [gpc.active for gpc in ready.kvm.gpcs] == [True, False, False, False]  # shared_info is the VM's
