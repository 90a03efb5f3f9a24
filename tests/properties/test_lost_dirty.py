# SPDX-License-Identifier: GPL-2.0-only
"""lost-dirty: a write to a slot that logs is not marked."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.virt.kvm.kvm_main.guest_access import GuestAccess
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.space.names import point_named, scenario_of
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run
from tests.linux.conftest import Host, MakeHost, reported
from tests.properties.conftest import clock_on, watched


class MarkNothing(Patch, GuestAccess):
    """KVM: forget dirty logging."""

    def mark_page_dirty_in_slot(self, kvm: Kvm, slot: KvmMemorySlot | None, gfn: Gfn) -> None:
        """Nothing."""


def walk(host: Host) -> None:
    assert host.kernel.kvm_mmu_gva_to_gpa_read(host.vcpu, 0) == 0


def emulate(host: Host) -> None:
    assert host.kernel.x86_emulate_instruction(host.vcpu, 0, 0x1000) == 0


@pytest.mark.parametrize("write", [clock_on, walk, emulate])
def test_nobody_marks(make_host: MakeHost, write: object) -> None:
    assert callable(write)
    host = watched(make_host, mainline_7_3 + [MarkNothing])
    host.add_slot(log_dirty=True)
    with reported("lost-dirty"):
        write(host)


@pytest.mark.parametrize("write", [clock_on, walk, emulate])
def test_nobody_marks_and_nobody_logs(make_host: MakeHost, write: object) -> None:
    assert callable(write)
    host = watched(make_host, mainline_7_3 + [MarkNothing])
    host.add_slot()
    write(host)
    assert not any(bit.dirty for bit in host.dirty_bits())


@pytest.mark.parametrize(("write", "gfn"), [(clock_on, 0), (walk, 0), (emulate, 1)])
def test_mainline_marks(host: Host, write: object, gfn: int) -> None:
    assert callable(write)
    host.add_slot(log_dirty=True)
    write(host)
    assert [n for n, bit in enumerate(host.dirty_bits()) if bit.dirty] == [gfn]


def test_a_cache_that_is_never_marked(host: Host) -> None:
    host.add_slot(log_dirty=True)
    clock_on(host)
    host.kernel.trace_quiescent(host.kvm)
    bitmap = host.slot().dirty_bitmap
    assert bitmap is not None
    bitmap.bits[0].dirty = False
    with reported("lost-dirty"):
        host.kernel.trace_quiescent(host.kvm)


def test_events_need_not_be_marked(make_host: MakeHost) -> None:
    host = watched(make_host, mainline_7_3 + [MarkNothing])
    host.kvm.gpcs = (host.kvm.xen.shinfo_cache,)
    host.add_slot(log_dirty=True)
    host.kernel.set_shared_info(host.kvm, 0, 0, False)
    assert host.kernel.kvm_xen_set_evtchn(host.kvm, host.vcpu) == 1


class MarkNoCache(Patch, Vmlinux):
    """KVM: mark what is written through caches dirty in no slot."""

    def kvm_gpc_mark_dirty_in_slot(self, gpc: GfnToPfnCache) -> None:
        """Nothing."""

    def note_xen_dirty(self, gpc: GfnToPfnCache) -> None:
        """Nothing."""


def inject(host: Host) -> None:
    """Deliver an event in vcpu_info."""
    host.kernel.set_vcpu_info(host.vcpu, 0)
    host.vcpu.xen.evtchn_pending_sel = True
    host.kernel.run_event_injection(host.vcpu)
    assert not host.vcpu.xen.evtchn_pending_sel


def schedule_out(host: Host) -> None:
    """Write the runstate area."""
    host.kvm.xen.hvm_config = True
    host.kernel.set_runstate_area(host.vcpu, 0)
    host.kernel.run_sched_out(host.vcpu)


@pytest.mark.parametrize("write", [inject, schedule_out])
@pytest.mark.parametrize("marks", [True, False])
def test_structures_of_xen_are_marked(make_host: MakeHost, write: object, marks: bool) -> None:
    assert callable(write)
    host = watched(make_host, mainline_7_3 if marks else mainline_7_3 + [MarkNoCache])
    host.kvm.gpcs = (host.vcpu.xen.vcpu_info_cache, host.vcpu.xen.runstate_cache, host.vcpu.xen.runstate2_cache)
    host.add_slot(log_dirty=True)
    write(host)
    assert [(bit.written, bit.dirty) for bit in host.dirty_bits()][:2] == [(True, marks), (False, False)]
    if marks:
        host.kernel.trace_quiescent(host.kvm)
        return
    with reported("lost-dirty"):
        host.kernel.trace_quiescent(host.kvm)


def beside_the_end_of_a_log(design: Design, user: str) -> Outcome:
    point = point_named(f"space/anon/{user}+slot-log/flags=logged")
    return run(Job(design, scenario_of(point), 100_000))


@pytest.mark.parametrize("user", ["walk", "emulate"])
def test_a_log_that_ends_before_the_mark(user: str) -> None:
    """The slot is looked up again for the mark: what was written before the end of the log is in none."""
    outcome = beside_the_end_of_a_log(mainline_7_3, user)
    assert (outcome.verdict, outcome.reason) == (Verdict.HOLDS, "")


def test_a_log_that_goes_on_without_the_mark() -> None:
    design = (mainline_7_3 + [MarkNothing]).named("own", "")
    assert beside_the_end_of_a_log(design, "walk").properties == ("lost-dirty",)
