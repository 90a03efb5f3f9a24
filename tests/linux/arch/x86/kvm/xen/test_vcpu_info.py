# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: vcpu_info."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENXIO
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.arch.x86.kvm.xen.conftest import (
    RUNSTATE,
    assert_no_lock_is_held,
    dirty,
    set_info,
    used,
)
from tests.linux.conftest import HVA, Host, MakeHost, reported


def test_vcpu_info_goes(ready: Host) -> None:
    ready.kernel.disable_vcpu_info(ready.vcpu)
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


def test_halted_vcpu_looks_in_a_read_section(make_host: MakeHost) -> None:
    """kvm_vcpu_check_block() takes SRCU, which vcpu_block() has dropped."""

    class BeforeHasInterrupt(Vmlinux):
        def kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
            return self.upcall_is_pending(vcpu)

    host = make_host(BeforeHasInterrupt)
    host.add_slot()
    assert set_info(host) == 0
    assert not host.kernel.run_block(host.vcpu)
    with reported("srcu-unprotected"):
        host.kernel.run_has_interrupt(host.vcpu)


@pytest.mark.parametrize("operation", ["run_has_interrupt", "run_block", "run_sched_out"])
def test_parts_of_kvm_run_hold_the_mutex(ready: Host, operation: str) -> None:
    seen: list[bool] = []
    kernel = ready.kernel
    for name in ("kvm_xen_has_interrupt", "kvm_arch_vcpu_put"):
        kernel.__dict__[name] = lambda vcpu: seen.append(vcpu.mutex.held and current().running_vcpu is vcpu)
    getattr(kernel, operation)(ready.vcpu)
    assert seen == [True]
    assert not ready.vcpu.mutex.held


def test_halted_vcpu_without_vcpu_info_sleeps(host: Host) -> None:
    assert host.kernel.kvm_vcpu_block(host.vcpu)


def set_runstate(host: Host, gpa: int = RUNSTATE) -> int:
    return host.kernel.set_runstate_area(host.vcpu, gpa)


def test_destroyed_vcpu_has_no_caches(ready: Host) -> None:
    set_runstate(ready, 0x2FF0)
    ready.kernel.kvm_xen_destroy_vcpu(ready.vcpu)
    assert [gpc.active for gpc in ready.kvm.gpcs] == [True, False, False, False]  # shared_info is the VM's
