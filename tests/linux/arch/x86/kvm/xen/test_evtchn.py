# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: event channels."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.sched import TaskStruct, current
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.arch.x86.kvm.xen.conftest import (
    assert_no_lock_is_held,
    dirty,
    drop_shared_info,
    kicks,
    send,
    send_fast,
    set_info,
    used,
)
from tests.linux.conftest import HVA, Host, MakeHost, reported


def test_fast_path_writes_both_and_marks_neither(ready: Host) -> None:
    assert send_fast(ready) == 1
    assert (used(ready), dirty(ready), kicks(ready)) == (["shinfo", "vcpu_info"], [], 1)
    assert not ready.vcpu.xen.evtchn_pending_sel
    assert_no_lock_is_held(ready)


def test_upcall_vector_is_delivered_under_the_lock_of_vcpu_info(ready: Host) -> None:
    ready.vcpu.xen.upcall_vector = True
    ready.vcpu.rq.lock.held = True  # a wakeup of the vCPU has to wait
    with pytest.raises(WouldBlock):
        send_fast(ready)
    assert (ready.vcpu.xen.vcpu_info_cache.lock.readers, current().irqs_disabled) == (1, 2)


def test_kick_comes_after_the_locks_are_dropped(ready: Host) -> None:
    ready.vcpu.rq.lock.held = True
    with pytest.raises(WouldBlock):
        send_fast(ready)
    assert ready.vcpu.xen.vcpu_info_cache.lock.readers == 0


def test_kick_comes_with_a_request(ready: Host) -> None:
    assert send_fast(ready) == 1
    assert ready.vcpu.unblock
    ready.kernel.vcpu_enter_guest(ready.vcpu)
    assert not ready.vcpu.unblock
    ready.vcpu.xen.upcall_vector = True
    assert send_fast(ready) == 1
    assert (kicks(ready), ready.vcpu.unblock) == (2, False)  # an interrupt needs none


def test_fast_path_never_refreshes(ready: Host) -> None:
    drop_shared_info(ready)
    assert send_fast(ready) == -EAGAIN
    assert (used(ready), kicks(ready), ready.mm.ptes[HVA >> 12].pfn) == ([], 0, -1)
    assert_no_lock_is_held(ready)


def test_fast_path_in_an_interrupt(ready: Host) -> None:
    current().preempt_count = 1
    assert send_fast(ready) == 1


def test_slow_path_looks_shared_info_up(ready: Host) -> None:
    drop_shared_info(ready)
    assert send(ready) == 1
    assert used(ready) == ["shinfo", "vcpu_info"]
    assert_no_lock_is_held(ready)


def test_slow_path_without_a_page_gives_up(ready: Host) -> None:
    ready.kernel.vm_munmap(ready.mm, HVA)
    assert send(ready) == -EFAULT
    assert used(ready) == []
    assert_no_lock_is_held(ready)


def test_event_before_shared_info_is_known(host: Host) -> None:
    """As syzbot found: open in 7.3.4."""
    with reported("warn-on"):
        send(host)


def test_event_for_a_vcpu_info_that_is_gone_is_delivered_later(ready: Host) -> None:
    xen = ready.vcpu.xen
    ready.kernel.madvise_dontneed(ready.mm, HVA + 0x1000)
    assert send(ready) == 1
    assert (used(ready), kicks(ready), xen.evtchn_pending_sel) == (["shinfo"], 1, True)
    ready.kernel.run_event_injection(ready.vcpu)
    assert (used(ready), dirty(ready), xen.evtchn_pending_sel) == (["vcpu_info"] * 2, [1], False)
    ready.kernel.run_event_injection(ready.vcpu)
    assert used(ready) == []  # nothing is pending


def test_event_that_is_noted_is_delivered_when_the_vcpu_runs_next(ready: Host) -> None:
    ready.vcpu.clock_update = False
    ready.kernel.madvise_dontneed(ready.mm, HVA + 0x1000)
    assert (send(ready), used(ready), ready.vcpu.unblock) == (1, ["shinfo"], True)
    ready.kernel.vcpu_enter_guest(ready.vcpu)
    assert used(ready) == ["vcpu_info"] * 2
    assert (ready.vcpu.xen.evtchn_pending_sel, ready.vcpu.unblock) == (False, False)


def test_event_that_is_noted_during_an_injection_has_its_upcall_with_it(make_host: MakeHost) -> None:
    """The upcall comes after the kernel's selector was cleared, and the vector after the lock was dropped."""
    events: list[tuple[str, bool, int]] = []

    class Watching(Vmlinux):
        def inject_evtchn_pending_sel(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
            events.append(("sel", vcpu.xen.evtchn_pending_sel, gpc.lock.readers))

        def inject_upcall_pending(self, gpc: GfnToPfnCache) -> None:
            events.append(("upcall", host.vcpu.xen.evtchn_pending_sel, gpc.lock.readers))

        def kvm_xen_inject_vcpu_vector(self, vcpu: KvmVcpu) -> None:
            events.append(("vector", vcpu.xen.evtchn_pending_sel, vcpu.xen.vcpu_info_cache.lock.readers))

    host = make_host(Watching)
    host.add_slot()
    assert set_info(host) == 0
    host.kernel.kvm_xen_inject_pending_events(host.vcpu)  # nothing is pending
    host.vcpu.xen.evtchn_pending_sel = True
    host.kernel.run_event_injection(host.vcpu)
    assert events == [("sel", True, 1), ("upcall", False, 1)]
    events.clear()
    host.vcpu.xen.evtchn_pending_sel = host.vcpu.xen.upcall_vector = True
    host.kernel.run_event_injection(host.vcpu)
    assert events == [("sel", True, 1), ("upcall", False, 1), ("vector", False, 0)]


def test_pending_event_stays_pending_without_a_page(ready: Host) -> None:
    ready.vcpu.xen.evtchn_pending_sel = True
    ready.kernel.vm_munmap(ready.mm, HVA + 0x1000)
    ready.kernel.run_event_injection(ready.vcpu)
    assert (ready.vcpu.xen.evtchn_pending_sel, used(ready)) == (True, [])
    assert_no_lock_is_held(ready)


def test_kernel_thread_borrows_the_address_space(ready: Host) -> None:
    drop_shared_info(ready)
    kthread = TaskStruct("kthread")
    with run_as(kthread):
        assert send(ready) == 1
    assert (used(ready), kthread.mm) == (["shinfo", "vcpu_info"], None)
    assert ready.page(HVA).incarnation == 2


def test_kernel_thread_gives_it_back_after_an_error(ready: Host) -> None:
    ready.kernel.vm_munmap(ready.mm, HVA)
    kthread = TaskStruct("kthread")
    with run_as(kthread):
        assert send(ready) == -EFAULT
    assert kthread.mm is None


def test_kernel_thread_on_the_fast_path_borrows_nothing(ready: Host) -> None:
    with run_as(TaskStruct("kthread")):
        assert send(ready) == 1


def test_another_process_is_refused(ready: Host) -> None:
    drop_shared_info(ready)
    with run_as(TaskStruct("stranger", mm=ready.kernel.new_mm("other"))), reported("warn-on"):
        send(ready)
