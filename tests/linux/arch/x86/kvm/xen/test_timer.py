# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: timers."""

from __future__ import annotations

from tests.linux.arch.x86.kvm.xen.conftest import (
    assert_no_lock_is_held,
    drop_shared_info,
    kicks,
    used,
)
from tests.linux.conftest import Host


def test_timer_delivers_at_once(ready: Host) -> None:
    ready.kernel.xen_timer_callback(ready.kvm, ready.vcpu)
    assert (used(ready), ready.vcpu.xen.timer_pending) == (["shinfo", "vcpu_info"], False)


def test_timer_that_cannot_deliver_leaves_it_to_the_vcpu(ready: Host) -> None:
    drop_shared_info(ready)
    ready.kernel.xen_timer_callback(ready.kvm, ready.vcpu)
    assert (used(ready), ready.vcpu.xen.timer_pending, kicks(ready)) == ([], True, 1)
    ready.kernel.xen_timer_callback(ready.kvm, ready.vcpu)
    assert kicks(ready) == 1  # one is pending already
    ready.kernel.run_timer_injection(ready.vcpu)
    assert (used(ready), ready.vcpu.xen.timer_pending) == (["shinfo", "vcpu_info"], False)
    ready.kernel.run_timer_injection(ready.vcpu)
    assert used(ready) == []


def test_timer_whose_time_has_come_is_delivered_under_xen_lock(ready: Host) -> None:
    ready.vcpu.xen.timer_pending = True  # of the timer that it replaces
    assert ready.kernel.start_expired_timer(ready.vcpu) == 0
    assert (used(ready), ready.vcpu.xen.timer_pending) == (["shinfo", "vcpu_info"], False)
    drop_shared_info(ready)
    assert ready.kernel.start_expired_timer(ready.vcpu) == 0
    assert (used(ready), ready.vcpu.xen.timer_pending) == ([], True)
    assert_no_lock_is_held(ready)
