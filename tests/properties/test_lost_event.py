# SPDX-License-Identifier: GPL-2.0-only
"""lost-event: a Xen event of which the vCPU never learns."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.scenarios.space.names import point_named, scenario_of
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.linux.conftest import HVA, Host, reported


def xen_guest(host: Host) -> None:
    host.kvm.gpcs = (host.kvm.xen.shinfo_cache, host.vcpu.xen.vcpu_info_cache)
    host.add_slot()
    host.kernel.set_shared_info(host.kvm, 0, 0, False)
    host.kernel.set_vcpu_info(host.vcpu, 0x1040)


def test_an_event_that_is_delivered(host: Host) -> None:
    xen_guest(host)
    host.kernel.kvm_xen_set_evtchn(host.kvm, host.vcpu)
    assert host.kvm.xen.events_owed == 0
    host.kernel.trace_quiescent(host.kvm)


def test_an_event_that_waits_for_the_next_run(host: Host) -> None:
    xen_guest(host)
    host.kernel.madvise_dontneed(host.mm, HVA + 0x1000)
    host.kernel.kvm_xen_set_evtchn(host.kvm, host.vcpu)
    assert (host.kvm.xen.events_owed, host.vcpu.xen.evtchn_pending_sel) == (1, True)
    host.kernel.trace_quiescent(host.kvm)
    host.kernel.run_event_injection(host.vcpu)
    assert host.kvm.xen.events_owed == 0


def test_an_event_that_is_forgotten(host: Host) -> None:
    xen_guest(host)
    host.kernel.set_evtchn_pending(host.kvm.xen.shinfo_cache)
    with reported("lost-event"):
        host.kernel.trace_quiescent(host.kvm)


def expired(host: Host) -> None:
    """The timer has expired, and has left its event to the vCPU, as the page of shared_info is gone."""
    xen_guest(host)
    host.kernel.set_timer(host.vcpu, True, False)
    host.kernel.madvise_dontneed(host.mm, HVA)
    host.kernel.expire_timer(host.kvm, host.vcpu, TaskStruct("elsewhere"))
    assert (host.vcpu.xen.timer_pending, host.vcpu.xen.timer.event_owed) == (True, True)
    host.kernel.trace_quiescent(host.kvm)


def test_the_event_of_a_timer_that_the_vcpu_sends(host: Host) -> None:
    expired(host)
    host.kernel.run_timer_injection(host.vcpu)
    assert (host.vcpu.xen.timer_pending, host.vcpu.xen.timer.event_owed) == (False, False)
    host.kernel.trace_quiescent(host.kvm)


def test_the_event_of_a_timer_that_is_forgotten(host: Host) -> None:
    expired(host)
    host.vcpu.xen.timer_pending = False
    with reported("lost-event"):
        host.kernel.trace_quiescent(host.kvm)


def test_the_event_of_a_timer_that_is_stopped(host: Host) -> None:
    expired(host)
    host.kernel.kvm_xen_stop_timer(host.vcpu)
    host.kernel.trace_quiescent(host.kvm)


def test_an_event_that_has_no_place(host: Host) -> None:
    """Without a mapping of shared_info, KVM drops the event."""
    expired(host)
    host.kernel.vm_munmap(host.mm, HVA)
    host.kernel.run_timer_injection(host.vcpu)
    assert not host.vcpu.xen.timer_pending
    host.kernel.trace_quiescent(host.kvm)


@pytest.mark.parametrize(
    "scenario", ["space/anon/timer+dontneed/context=irq", "space/anon/timer+dontneed/context=irq-here"]
)
def test_a_vcpu_that_sends_the_event_before_the_callback_has_ended(scenario: str) -> None:
    """The callback has left its event to the vCPU, which sends it at once."""
    outcome = run(Job(mainline_7_3, scenario_of(point_named(scenario)), 200_000))
    assert outcome.verdict == "holds", outcome.properties


@pytest.mark.parametrize(
    "beside",
    [
        "memfd/timer+slot-delete", "memfd/timer+mprotect", "gmem-mmap/timer+slot-replace",
        "memfd/timer+memory-failure", "gmem-mmap/timer+memory-failure",
    ],
)  # fmt: skip
def test_an_event_that_the_vcpu_cannot_send(beside: str) -> None:
    """KVM drops an event if there is no memslot, no permission to write, or no page but one whose memory has failed."""
    scenario = scenario_of(point_named(f"space/{beside}/context=irq"))
    assert run(Job(mainline_7_3, scenario, 200_000)).verdict == "holds"
