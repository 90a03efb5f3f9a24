# SPDX-License-Identifier: GPL-2.0-only
"""A session has an outcome for each job, also when it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pfncache.check.compile.source import CompileError
from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.designs.design import Patch
from pfncache.interrupts import Terminated
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.virt.kvm.guest_memfd.file import GuestMemfdFile
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World
from pfncache.scenarios.xen import vcpu_info
from pfncache.verify import runner
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from pfncache.verify.session import NOT_SEARCHED, SearchOptions, Session

NAMES = ("clock/anon/munmap", "clock/anon/touch", "gpc/move-in-page")


def planned(*designs: str, absolute: bool = True) -> Session:
    scenarios = [SCENARIOS[name] for name in NAMES]
    options = SearchOptions(max_states=100_000, processes=1, absolute=absolute)
    return Session.plan([DESIGNS[name] for name in designs], scenarios, wanted=NAMES, options=options)


def test_outcomes_of_every_design() -> None:
    session = planned("mainline-7.3", "rfc-v4-on-7.3")
    done: list[str] = []
    session.run(lambda job: done.append(job.scenario_name))
    assert sorted(done) == sorted(NAMES * 2)
    assert [(o.design, o.base, [s.scenario for s in o.outcomes]) for o in session.outcomes] == [
        ("mainline-7.3", None, list(NAMES)), ("rfc-v4-on-7.3", None, list(NAMES)),
    ]  # fmt: skip
    assert [o.verdict for o in session.outcomes] == ["holds", "violated"]
    assert (session.violated, session.interrupted) == (3, None)


def test_the_base_is_searched_too_but_once() -> None:
    session = planned("rfc-v4-on-7.3", "no-active-count", absolute=False)
    assert [job.design.name for job in session.jobs] == (
        ["no-direct-map"] * 3 + ["mainline-7.3"] * 3 + ["rfc-v4-on-7.3"] * 3 + ["no-active-count"] * 3
    )
    assert len(planned("no-active-count", "mainline-7.3", absolute=False).jobs) == 6
    session.run()
    assert [(o.base, sorted(o.base_outcomes)) for o in session.outcomes] == [
        ("no-direct-map", sorted(NAMES)), ("mainline-7.3", sorted(NAMES)),
    ]  # fmt: skip


@pytest.mark.parametrize("reason", [KeyboardInterrupt, Terminated])
def test_an_interrupt_leaves_the_rest_bounded(monkeypatch: pytest.MonkeyPatch, reason: type[BaseException]) -> None:
    def interrupted(jobs: list[Job], processes: int | None) -> Iterator[tuple[Job, Any]]:
        yield jobs[1], run(jobs[1])
        raise reason

    monkeypatch.setattr(runner, "run_jobs", interrupted)
    session = planned(mainline_7_3.name)
    session.run()
    (outcome,) = session.outcomes
    assert [(o.scenario, o.verdict, o.reason) for o in outcome.outcomes] == [
        (NAMES[0], "bounded", NOT_SEARCHED), (NAMES[1], "holds", ""), (NAMES[2], "bounded", NOT_SEARCHED),
    ]  # fmt: skip
    assert (outcome.verdict, session.violated, type(session.interrupted)) == ("incomplete", 0, reason)


class PunchTwice(Patch, GuestMemfdFile):
    """KVM: guest_memfd: a system call of its own."""

    def sys_punch_twice(self, file: File) -> Errno:
        ret = self.kvm_gmem_punch_hole(file, 0, 1)
        return ret if ret != 0 else self.kvm_gmem_punch_hole(file, 0, 1)


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def punched_twice(w: World) -> None:
    """The new system call runs alone."""
    w.actor("vmm", w.call("sys_punch_twice", w.gmem))


def test_a_function_that_a_design_adds_is_missing_in_its_base() -> None:
    """What the design violates there is new; another design that was asked for is incomplete."""
    design = (mainline_7_3 + [PunchTwice]).named("punch-twice", "")
    options = SearchOptions(max_states=10_000, processes=1)
    session = Session.plan([mainline_7_3, design], [punched_twice], wanted=(), options=options)
    session.run()
    without, found = session.outcomes
    assert [(o.verdict, o.reason) for o in without.outcomes] == [
        ("not-applicable", "mainline-7.3 has no function sys_punch_twice()")
    ]
    assert (without.verdict, found.verdict, found.outcomes[0].verdict) == ("incomplete", "holds", "holds")


def test_a_function_that_no_design_has_is_an_error() -> None:
    options = SearchOptions(max_states=10_000, processes=1)
    session = Session.plan([mainline_7_3], [punched_twice], wanted=(), options=options)
    with pytest.raises(CompileError, match="the kernel has no function 'sys_punch_twice'"):
        session.run()


@scenario(caches=vcpu_info, pages=4)
def refused_vcpu_info(w: World) -> None:
    """vcpu_info is refused, as it crosses a page; then the clock is updated, and an event delivered.

    On mainline the event's delivery refreshes the cache that has no address, and warns. The clock's update does not,
    as the cache is not active.
    """
    w.kernel.VCPU_INFO_SIZE = 2
    w.actor("vmm", w.call("set_vcpu_info", w.vcpu, w.gpa + w.kernel.PAGE_SIZE - 1))
    w.vcpu.xen.evtchn_pending_sel = True
    w.actor("vcpu", w.call("run_clock_update", w.vcpu), w.call("run_event_injection", w.vcpu))


def test_a_new_violation_behind_one_of_the_same_kind() -> None:
    """Both are the same warning, in the same line, of the same actor: what tells them apart is who calls.

    If the cache is active early enough, the clock's update warns, and the event is never delivered.
    """
    options = SearchOptions(max_states=100_000, processes=1)
    name = refused_vcpu_info.name
    session = Session.plan([DESIGNS["length-after-active"]], [refused_vcpu_info], wanted=[name], options=options)
    session.run()
    (found,) = session.outcomes
    (comparison,) = found.comparisons
    assert [v.property for v in found.base_outcomes[name].violations] == ["warn-on"]
    assert [v.property for v in comparison.unchanged] == ["warn-on"]
    (new,) = comparison.new
    assert (new.property, new.key) == ("warn-on", comparison.unchanged[0].key)
    assert "kvm_guest_time_update" in new.functions
    assert "kvm_guest_time_update" not in comparison.unchanged[0].functions
    assert found.verdict == "violated"
