# SPDX-License-Identifier: GPL-2.0-only
"""lost-event: a Xen event of which the vCPU never learns."""

from __future__ import annotations

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
