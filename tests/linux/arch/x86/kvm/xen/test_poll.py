# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: SCHEDOP_poll."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi.linux.errno import EFAULT, ENOTCONN
from tests.linux.arch.x86.kvm.xen.conftest import (
    assert_no_lock_is_held,
    drop_shared_info,
    kicks,
    send,
    set_shared_info,
    used,
)
from tests.linux.conftest import Host

PARAM, NOWHERE = 0x3000, 0x8000


@pytest.fixture
def masked(host: Host) -> Host:
    """shared_info is known, and the guest has masked its event."""
    set_shared_info(host)
    host.kvm.xen.evtchn_masked = True
    used(host)
    return host


def poll(host: Host, param: int = PARAM) -> int:
    return host.kernel.run_schedop_poll(host.vcpu, param)


def test_event_that_is_pending_ends_a_poll_at_once(masked: Host) -> None:
    assert (send(masked), used(masked), kicks(masked)) == (-ENOTCONN, ["shinfo"], 0)
    assert send(masked) == 0  # pending already
    used(masked)
    assert (poll(masked), used(masked), masked.vcpu.xen.poll_mask) == (0, ["shinfo"], False)
    assert_no_lock_is_held(masked)


def test_vcpu_sleeps_in_the_section_until_it_is_woken(masked: Host) -> None:
    with pytest.raises(WouldBlock):
        poll(masked)
    assert (masked.vcpu.xen.poll_mask, current().srcu_depth) == (True, 1)
    assert send(masked) == -ENOTCONN
    assert (masked.vcpu.xen.poll_mask, masked.vcpu.unblock, kicks(masked)) == (False, True, 1)
    masked.kernel.kvm_vcpu_halt(masked.vcpu)
    assert not masked.vcpu.unblock
    assert send(masked) == 0
    assert kicks(masked) == 1  # the bit of poll_mask is clear


def test_timeout_wakes_the_vcpu(masked: Host) -> None:
    masked.kernel.cancel_evtchn_poll(masked.vcpu)
    assert (masked.vcpu.unblock, kicks(masked)) == (True, 1)
    assert poll(masked) == 0
    assert not masked.vcpu.unblock


def test_request_of_a_poll_that_did_not_sleep_is_dropped(masked: Host) -> None:
    send(masked)
    masked.vcpu.unblock = True  # the event came after the bit of poll_mask was set
    assert (poll(masked), masked.vcpu.unblock) == (0, False)


def test_shared_info_that_cannot_be_read_ends_a_poll(masked: Host) -> None:
    drop_shared_info(masked)
    assert (poll(masked), used(masked)) == (0, [])
    assert_no_lock_is_held(masked)


def test_arguments_that_cannot_be_read_are_refused(masked: Host) -> None:
    assert (poll(masked, NOWHERE), used(masked), masked.vcpu.xen.poll_mask) == (-EFAULT, [], False)
    assert_no_lock_is_held(masked)
