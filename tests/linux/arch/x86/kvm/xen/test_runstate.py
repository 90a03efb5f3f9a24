# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: runstate."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.uapi.linux.errno import EFAULT
from tests.linux.arch.x86.kvm.xen.conftest import (
    RUNSTATE,
    RUNSTATE_SIZE,
    assert_no_lock_is_held,
    dirty,
    used,
)
from tests.linux.conftest import HVA, Host


def set_runstate(host: Host, gpa: int = RUNSTATE) -> int:
    return host.kernel.set_runstate_area(host.vcpu, gpa)


def active(host: Host) -> tuple[bool, bool]:
    return host.vcpu.xen.runstate_cache.active, host.vcpu.xen.runstate2_cache.active


def test_runstate_on_one_page(host: Host) -> None:
    assert set_runstate(host, 0x3000 - RUNSTATE_SIZE) == 0
    assert (active(host), used(host), dirty(host)) == ((True, False), ["runstate"], [2])
    assert_no_lock_is_held(host)


def test_runstate_on_two_pages(host: Host) -> None:
    assert set_runstate(host, 0x3000 - RUNSTATE_SIZE + 1) == 0
    second = host.vcpu.xen.runstate2_cache
    assert (active(host), second.gpa, second.uhva) == ((True, True), 0x3000, HVA + 0x3000)
    assert (used(host), dirty(host)) == (["runstate", "runstate2"], [2, 3])
    assert_no_lock_is_held(host)


def test_runstate_of_a_32_bit_guest_is_shorter(host: Host) -> None:
    """The last four bytes of the other layout need neither memory nor a second page."""
    host.kvm.xen.long_mode = False
    assert set_runstate(host, 0x4000 - 44) == 0
    assert (active(host), used(host), dirty(host)) == ((True, False), ["runstate"], [3])


def test_runstate_grows_with_the_mode(host: Host) -> None:
    """The update activates the cache of a second page that was not needed when the area was set."""
    host.kvm.xen.long_mode = False
    assert set_runstate(host, 0x3000 - 44) == 0
    used(host)
    host.kvm.xen.long_mode = True
    host.kernel.run_sched_out(host.vcpu)
    assert (active(host), used(host)) == ((True, False), [])  # there, nothing may be activated
    host.kernel.run_runstate_update(host.vcpu)
    assert (active(host), used(host)) == ((True, True), ["runstate", "runstate2"])
    assert_no_lock_is_held(host)


def test_runstate_moves_back_to_one_page(host: Host) -> None:
    set_runstate(host, 0x2FF0)
    assert set_runstate(host, 0x1000) == 0
    assert active(host) == (True, False)


@pytest.mark.parametrize("gpa", [0x3FF0, 0x6000])
def test_runstate_without_memory(host: Host, gpa: int) -> None:
    """Half of it is not enough."""
    assert set_runstate(host, gpa) == -EFAULT
    assert (active(host), used(host), dirty(host)) == ((False, False), [], [])
    assert_no_lock_is_held(host)


def test_sched_out_and_in(host: Host) -> None:
    set_runstate(host, 0x2FF0)
    used(host)
    host.kernel.run_sched_out(host.vcpu)
    host.kernel.run_runstate_update(host.vcpu)
    assert used(host) == ["runstate", "runstate2"] * 2
    assert_no_lock_is_held(host)


@pytest.mark.parametrize("page", [2, 3])
def test_sched_out_neither_sleeps_nor_refreshes(host: Host, page: int) -> None:
    set_runstate(host, 0x2FF0)
    used(host)
    host.kernel.madvise_dontneed(host.mm, HVA + (page << 12))
    host.kernel.run_sched_out(host.vcpu)
    assert (used(host), host.mm.ptes[(HVA >> 12) + page].pfn) == ([], -1)
    assert_no_lock_is_held(host)
    host.kernel.run_runstate_update(host.vcpu)
    assert used(host) == ["runstate", "runstate2"]


@pytest.mark.parametrize("cache", ["runstate_cache", "runstate2_cache"])
def test_sched_out_waits_for_nobody(host: Host, cache: str) -> None:
    set_runstate(host, 0x2FF0)
    used(host)
    lock = getattr(host.vcpu.xen, cache).lock
    lock.writer = True
    host.kernel.run_sched_out(host.vcpu)
    assert used(host) == []
    with pytest.raises(WouldBlock):
        host.kernel.run_runstate_update(host.vcpu)
    lock.writer = False


def test_runstate_that_was_never_set(host: Host) -> None:
    host.kernel.run_sched_out(host.vcpu)
    host.kernel.run_runstate_update(host.vcpu)
    assert used(host) == []
