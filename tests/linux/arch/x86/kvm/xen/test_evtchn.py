# SPDX-License-Identifier: GPL-2.0-only
"""Pages that a Xen guest shares with its hypervisor."""

from __future__ import annotations

from typing import Any

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.sched import TaskStruct, current
from pfncache.linux.include.linux.types import INVALID_GPA
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, EINVAL, ENXIO
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

SHINFO, INFO, RUNSTATE = 0x0, 0x1040, 0x2000
RUNSTATE_SIZE = 48


class Watching(Vmlinux):
    """Notes which caches are used, and how often a vCPU is woken."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.used: list[str] = []
        self.kicks = 0

    def trace_gpc_access(self, gpc: GfnToPfnCache) -> None:
        self.used.append(str(gpc).rpartition(".")[2].removesuffix("_cache"))

    def kvm_vcpu_kick(self, vcpu: Any) -> None:
        self.kicks += 1
        super().kvm_vcpu_kick(vcpu)


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A VM for a Xen guest with four pages of memory, which are logged."""
    made = make_host(Watching)
    xen = made.vcpu.xen
    made.kvm.gpcs = (made.kvm.xen.shinfo_cache, xen.vcpu_info_cache, xen.runstate_cache, xen.runstate2_cache)
    made.kvm.xen.hvm_config = True
    made.add_slot(log_dirty=True)
    return made


def used(host: Host) -> list[str]:
    """The caches that were used since the last time this was asked."""
    assert isinstance(host.kernel, Watching)
    found, host.kernel.used = host.kernel.used, []
    return found


def kicks(host: Host) -> int:
    assert isinstance(host.kernel, Watching)
    return host.kernel.kicks


def dirty(host: Host) -> list[int]:
    return [gfn for gfn, bit in enumerate(host.slot().dirty_bitmap) if bit.dirty]


def set_shared_info(host: Host, gpa: int = SHINFO) -> int:
    return host.kernel.set_shared_info(host.kvm, gpa, 0, False)


def set_info(host: Host, gpa: int = INFO) -> int:
    return host.kernel.set_vcpu_info(host.vcpu, host.vcpu.xen.vcpu_info_cache, gpa, 64)


def send(host: Host) -> int:
    return host.kernel.kvm_xen_set_evtchn(host.kvm, host.vcpu)


def send_fast(host: Host) -> int:
    return host.kernel.kvm_xen_set_evtchn_fast(host.kvm, host.vcpu)


def assert_no_lock_is_held(host: Host) -> None:
    task = current()
    assert (task.preempt_count, task.irqs_disabled, task.srcu_depth) == (0, 0, 0)
    assert not host.kvm.xen.xen_lock.held
    assert [(gpc.lock.readers, gpc.lock.writer) for gpc in host.kvm.gpcs] == [(0, False)] * 4


# shared_info


def test_shared_info_by_gpa(host: Host) -> None:
    assert set_shared_info(host) == 0
    gpc = host.kvm.xen.shinfo_cache
    assert (gpc.gpa, gpc.uhva, gpc.memslot, gpc.valid) == (SHINFO, HVA, host.slot(), True)
    assert (used(host), dirty(host)) == (["shinfo"], [])  # the wall clock; never marked
    assert_no_lock_is_held(host)


def test_shared_info_by_hva(host: Host) -> None:
    host.delete_slot()
    assert host.kernel.set_shared_info(host.kvm, 0, HVA + 0x3000, True) == 0
    gpc = host.kvm.xen.shinfo_cache
    assert (gpc.gpa, gpc.uhva, gpc.memslot, gpc.valid) == (INVALID_GPA, HVA + 0x3000, None, True)


@pytest.mark.parametrize(
    ("gpa", "uhva", "by_hva", "error"),
    [(0x8, 0, False, EINVAL), (0, HVA + 8, True, EINVAL), (0x6000, 0, False, EFAULT), (0, 0x1000, True, EFAULT)],
)
def test_shared_info_that_cannot_be(host: Host, gpa: int, uhva: int, by_hva: bool, error: int) -> None:
    """A page has to fit in a page, and there has to be one."""
    assert host.kernel.set_shared_info(host.kvm, gpa, uhva, by_hva) == -error
    assert (used(host), host.kvm.xen.shinfo_cache.valid) == ([], False)
    assert_no_lock_is_held(host)


def test_shared_info_goes(host: Host) -> None:
    set_shared_info(host)
    host.kernel.disable_shared_info(host.kvm)
    assert not host.kvm.xen.shinfo_cache.active
    set_shared_info(host)
    host.kernel.kvm_xen_destroy_vm(host.kvm)
    assert not host.kvm.xen.shinfo_cache.list.listed


# Event channels


@pytest.fixture
def ready(host: Host) -> Host:
    """shared_info and vcpu_info are known."""
    set_shared_info(host)
    set_info(host)
    used(host)
    return host


def drop_shared_info(host: Host) -> None:
    """The page goes; the VMA stays."""
    host.kernel.madvise_dontneed(host.mm, HVA)


def test_fast_path_writes_both_and_marks_neither(ready: Host) -> None:
    assert send_fast(ready) == 1
    assert (used(ready), dirty(ready), kicks(ready)) == (["shinfo", "vcpu_info"], [], 1)
    assert not ready.vcpu.xen.evtchn_pending_sel
    assert_no_lock_is_held(ready)


def test_upcall_vector_is_delivered_under_the_lock_of_vcpu_info(ready: Host) -> None:
    ready.vcpu.xen.upcall_vector = True
    ready.vcpu.rq.lock.held = True  # whoever wakes the vCPU waits
    with pytest.raises(WouldBlock):
        send_fast(ready)
    assert (ready.vcpu.xen.vcpu_info_cache.lock.readers, current().irqs_disabled) == (1, 2)


def test_kick_comes_after_the_locks_are_dropped(ready: Host) -> None:
    ready.vcpu.rq.lock.held = True
    with pytest.raises(WouldBlock):
        send_fast(ready)
    assert ready.vcpu.xen.vcpu_info_cache.lock.readers == 0


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
    assert (used(ready), dirty(ready), xen.evtchn_pending_sel) == (["vcpu_info"], [1], False)
    ready.kernel.run_event_injection(ready.vcpu)
    assert used(ready) == []  # nothing is pending


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


# Timers


def test_interrupt_waits_for_a_cpu_with_interrupts_on(host: Host) -> None:
    elsewhere = TaskStruct("elsewhere", irqs_disabled=1)
    with pytest.raises(WouldBlock):
        host.kernel.irq_enter(elsewhere)
    elsewhere.irqs_disabled = 0
    host.kernel.irq_enter(elsewhere)
    assert (current().preempt_count, elsewhere.preempt_count) == (1, 0)
    host.kernel.irq_exit()
    assert current().preempt_count == 0


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


# vcpu_info


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


# Runstate


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
    host.kernel.kvm_sched_out(host.vcpu)
    host.kernel.run_runstate_update(host.vcpu)
    assert used(host) == ["runstate", "runstate2"] * 2
    assert_no_lock_is_held(host)


@pytest.mark.parametrize("page", [2, 3])
def test_sched_out_neither_sleeps_nor_refreshes(host: Host, page: int) -> None:
    set_runstate(host, 0x2FF0)
    used(host)
    host.kernel.madvise_dontneed(host.mm, HVA + (page << 12))
    host.kernel.kvm_sched_out(host.vcpu)
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
    host.kernel.kvm_sched_out(host.vcpu)
    assert used(host) == []
    with pytest.raises(WouldBlock):
        host.kernel.run_runstate_update(host.vcpu)
    lock.writer = False


def test_runstate_that_was_never_set(host: Host) -> None:
    host.kernel.kvm_sched_out(host.vcpu)
    host.kernel.run_runstate_update(host.vcpu)
    assert used(host) == []


def test_destroyed_vcpu_has_no_caches(ready: Host) -> None:
    set_runstate(ready, 0x2FF0)
    ready.kernel.kvm_xen_destroy_vcpu(ready.vcpu)
    assert [gpc.active for gpc in ready.kvm.gpcs] == [True, False, False, False]  # shared_info is the VM's
