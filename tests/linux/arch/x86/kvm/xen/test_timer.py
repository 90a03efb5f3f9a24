# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: timers."""

from __future__ import annotations

from pfncache.linux.include.linux.sched import current
from tests.linux.arch.x86.kvm.xen.conftest import (
    INFO,
    assert_no_lock_is_held,
    drop_shared_info,
    kicks,
    set_shared_info,
    used,
)
from tests.linux.conftest import Host


def test_timer_delivers_at_once(ready: Host) -> None:
    ready.kernel.xen_timer_callback(ready.kvm, ready.vcpu)
    assert (used(ready), ready.vcpu.xen.timer_pending) == (["shinfo", "vcpu_info"], False)


def test_timer_that_cannot_deliver_leaves_it_to_the_vcpu(ready: Host) -> None:
    drop_shared_info(ready)
    ready.kernel.xen_timer_callback(ready.kvm, ready.vcpu)
    assert (used(ready), ready.vcpu.xen.timer_pending, kicks(ready), ready.vcpu.unblock) == ([], True, 1, True)
    ready.kernel.xen_timer_callback(ready.kvm, ready.vcpu)
    assert kicks(ready) == 1  # one is pending already
    ready.kernel.run_timer_injection(ready.vcpu)
    assert (used(ready), ready.vcpu.xen.timer_pending) == (["shinfo", "vcpu_info"], False)
    ready.kernel.run_timer_injection(ready.vcpu)
    assert used(ready) == []


def test_timer_whose_time_has_come_is_delivered_under_xen_lock(ready: Host) -> None:
    ready.vcpu.xen.timer_pending = True  # of the timer that it replaces
    assert ready.kernel.set_timer(ready.vcpu, True, True) == 0
    assert (used(ready), ready.vcpu.xen.timer_pending, ready.vcpu.xen.timer_expires) == (
        ["vcpu_info", "shinfo", "vcpu_info"],  # the guest's clock is read first
        False,
        False,
    )
    drop_shared_info(ready)
    assert ready.kernel.set_timer(ready.vcpu, True, True) == 0
    assert (used(ready), ready.vcpu.xen.timer_pending) == (["vcpu_info"], True)
    assert_no_lock_is_held(ready)


def test_timer_fires_once(ready: Host) -> None:
    ready.kernel.set_timer(ready.vcpu, True, False)
    used(ready)
    for expected in (["shinfo", "vcpu_info"], []):
        ready.kernel.expire_timer(ready.kvm, ready.vcpu, current())
        assert used(ready) == expected
    assert not ready.vcpu.xen.timer_expires


def test_timer_is_stopped(ready: Host) -> None:
    ready.kernel.set_timer(ready.vcpu, True, False)
    ready.kernel.set_timer(ready.vcpu, False, False)
    used(ready)
    ready.kernel.expire_timer(ready.kvm, ready.vcpu, current())
    assert (used(ready), ready.vcpu.xen.timer_expires) == ([], False)


def test_read_of_a_timer_delivers_a_pending_event_and_starts_the_timer_again(ready: Host) -> None:
    ready.kernel.set_timer(ready.vcpu, True, False)
    ready.kernel.get_timer(ready.vcpu)
    assert (ready.vcpu.xen.timer.queued, ready.vcpu.xen.timer_expires) == (True, True)
    drop_shared_info(ready)
    used(ready)
    ready.kernel.expire_timer(ready.kvm, ready.vcpu, current())
    assert (used(ready), ready.vcpu.xen.timer_pending) == ([], True)
    ready.kernel.get_timer(ready.vcpu)
    assert (used(ready), ready.vcpu.xen.timer_pending) == (["shinfo", "vcpu_info"], False)
    assert (ready.vcpu.xen.timer.queued, ready.vcpu.xen.timer_expires) == (False, False)
    assert_no_lock_is_held(ready)


def test_clock_of_a_guest_is_read_in_its_time_information_if_vcpu_info_is_not_set(host: Host) -> None:
    set_shared_info(host)
    host.kernel.set_vcpu_time_info(host.vcpu, INFO)
    used(host)
    host.kernel.set_timer(host.vcpu, True, False)
    assert used(host) == ["vcpu_time_info"]
