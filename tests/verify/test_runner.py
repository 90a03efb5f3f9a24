# SPDX-License-Identifier: GPL-2.0-only
"""Running: designs with the same system share a search, and every job has an outcome."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from pfncache.check.shortest import search_shortest
from pfncache.check.system import Actor, Call, System
from pfncache.designs.catalogue import mainline_7_2, mainline_7_3, rfc_v4_on_7_3
from pfncache.designs.design import Design, Patch
from pfncache.interrupts import Terminated
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.verify import runner
from pfncache.verify.job import Job
from pfncache.verify.loader import load_design
from pfncache.verify.program_cache import program_of
from pfncache.verify.runner import OutcomeCache, run, run_jobs, search
from pfncache.verify.systems import make_system
from pfncache.verify.workers import usable_cores
from tests.verify.conftest import SkipUpdate, Unused

SCENARIO = "clock/anon/munmap"

OWN = """
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.designs.design import Patch
from pfncache.designs.catalogue import mainline_7_3

UNLOCK = {value}


class Mine(Patch, X86):
    '''Look at a constant.'''

    def kvm_guest_time_update(self, vcpu):
        if UNLOCK:
            vcpu.rq.lock.unlock()


mine = mainline_7_3 + [Mine]
"""


def job(*patches: type[Patch], scenario: str = SCENARIO, max_states: int = 100_000, reduction: bool = True) -> Job:
    return Job(mainline_7_3 + patches, scenario, max_states, reduction)


def test_a_design_that_holds() -> None:
    outcome = run(job())
    assert (outcome.scenario, outcome.verdict, outcome.property) == (SCENARIO, "holds", None)
    assert (outcome.trace, outcome.reason) == (None, "")
    assert outcome.bounds == "vcpu: clock_update x2 | munmap; 3 pages"
    searching, result, system = search(job())
    assert (result.states, result.transitions) == (outcome.states, outcome.transitions)
    assert searching.program.compiled.system is system


def test_a_design_that_is_violated() -> None:
    outcome = run(Job(rfc_v4_on_7_3, "gmem/unmapped-punch", 100_000))
    assert (outcome.verdict, outcome.property) == ("violated", "use-after-free")
    assert outcome.trace is not None
    assert outcome.reason == outcome.trace.reason
    assert outcome.trace.actors == ("vcpu", "punch")


def unrelated_and_related(kernel: type[Vmlinux], defer_setup: bool = False) -> System:
    """A cache is refreshed while its page goes away, and other memory is zapped in a loop."""
    system = SCENARIOS["livelock/unrelated-memory"].build(kernel)
    mm = system.actors[0].task.__dict__["mm"]
    munmap = Actor("munmap", TaskStruct("munmap", mm=mm), (Call(system.kernel.vm_munmap, (mm, 2)),))
    return replace(system, actors=(*system.actors, munmap))


def test_what_needs_a_sequence_to_wrap_is_bounded() -> None:
    """One invalidation of the page and two of others move the sequence on to its old value; the source's does not."""
    outcome = run(Job(mainline_7_3, Scenario("livelock/both", "", unrelated_and_related), 100_000))
    assert (outcome.verdict, outcome.property, outcome.trace) == ("bounded", None, None)
    assert outcome.reason == "a violation that needs a sequence number to wrap"


def test_a_limit() -> None:
    outcome = run(job(scenario="xen/two-senders", max_states=1000, reduction=False))
    assert (outcome.verdict, outcome.property, outcome.reason) == ("bounded", None, "the limit of 1,000 states")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is set up, compiled and searched."""
    found: list[str] = []

    def note(what: str, real: Any) -> Any:
        def noted(*args: Any, **options: Any) -> Any:
            found.append(what)
            return real(*args, **options)

        return noted

    for what, function in (("set up", make_system), ("compile", program_of), ("search", search_shortest)):
        monkeypatch.setattr(runner, function.__name__, note(what, function))
    return found


WHOLE = ["set up", "compile", "search"]
"""What a job without an earlier outcome takes."""
TWICE = [*WHOLE, "compile", "search"]
"""The same, where the first search is vacuous, so that another one without reductions follows."""


def effort(built: list[str], first: Job, second: Job) -> list[str]:
    """Return what the second job took after the first."""
    cache = OutcomeCache()
    one = cache.run(first)
    assert built[: len(WHOLE)] == WHOLE
    built.clear()
    two = cache.run(second)
    assert (one.seconds == two.seconds) is ("search" not in built)
    return built


class SetUpOtherwise(Patch, X86):
    """Set the clock up by another function, which does the same."""

    def set_msr_system_time(self, vcpu: KvmVcpu, gpa: int, enable: bool) -> int:
        """Call the other one."""
        return super().set_msr_system_time(vcpu, gpa, enable)  # type: ignore[misc,no-any-return]


class SetUpElsewhere(Patch, X86):
    """Set the clock up at another address."""

    def set_msr_system_time(self, vcpu: KvmVcpu, gpa: int, enable: bool) -> int:
        """Change the address."""
        return super().set_msr_system_time(vcpu, gpa + 1, enable)  # type: ignore[misc,no-any-return]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (job(Unused), []),
        (Job(mainline_7_3.named("other", "other name"), SCENARIO, 100_000), []),
        (job(SetUpOtherwise), ["set up"]),
        (job(SetUpElsewhere), WHOLE),
        (job(SkipUpdate), TWICE),
        (Job(mainline_7_2, SCENARIO, 100_000), WHOLE),
        (job(max_states=200_000), WHOLE),
        (job(reduction=False), WHOLE),
        (job(scenario="clock/anon/touch"), WHOLE),
    ],
)
def test_what_is_shared(built: list[str], second: Job, expected: list[str]) -> None:
    """A function that nothing calls makes no difference; one that sets the same system up, that it is set up."""
    assert effort(built, job(), second) == expected


def own(tmp_path: Path, name: str, value: bool) -> Design:
    path = tmp_path / name
    path.write_text(OWN.format(value=value))
    return load_design(str(path))


def test_two_files_that_differ_in_a_constant_only_share_nothing(tmp_path: Path, built: list[str]) -> None:
    """The functions have equal code; what they do differs."""
    jobs = [Job(own(tmp_path, f"{value}.py", value), SCENARIO, 100_000) for value in (False, True)]
    assert effort(built, *jobs) == WHOLE


def test_two_files_that_differ_in_a_constant_only(tmp_path: Path) -> None:
    """Each has a verdict of its own."""
    cache = OutcomeCache()
    verdicts = [
        cache.run(Job(own(tmp_path, name, value), SCENARIO, 100_000)).property
        for name, value in (("one.py", False), ("two.py", True))
    ]
    assert verdicts == [None, "lock-imbalance"]


def test_shared_outcomes_cannot_be_changed() -> None:
    outcome = OutcomeCache().run(job())
    with pytest.raises(FrozenInstanceError):
        outcome.scenario = "changed"  # type: ignore[misc]


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_is_run_once(processes: int) -> None:
    jobs = [
        job(*patches, scenario=scenario)
        for scenario in (SCENARIO, "gpc/move-in-page", "xen/never-activated")
        for patches in ((), (Unused,))
    ]
    done = list(run_jobs(jobs, processes))
    assert sorted(id(j) for j, _ in done) == sorted(id(j) for j in jobs)
    assert all(j.scenario == outcome.scenario for j, outcome in done)
    assert {(o.scenario, o.property) for _, o in done} == {
        (SCENARIO, None), ("gpc/move-in-page", None), ("xen/never-activated", "warn-on"),
    }  # fmt: skip


def dies_in_a_worker(kernel: type[Vmlinux], defer_setup: bool = False) -> System:
    """Kill the process, as the kernel does when memory is short, unless it is that of the tests."""
    if os.getpid() != TESTS:
        KILL(os.getpid(), signal.SIGKILL)
    return SCENARIOS[SCENARIO].build(kernel)


KILL = os.kill
"""The function itself: what set-ups call by its name is refused."""
TESTS = os.getpid()
"""The process that runs the tests."""


@pytest.mark.skipif(usable_cores() < 2, reason="with one core there is no worker")
def test_a_killed_worker_costs_one_scenario() -> None:
    deadly = Scenario("own/deadly", "", dies_in_a_worker)
    names = ("gpc/move-in-page", "xen/never-activated", SCENARIO)
    jobs = [job(scenario=names[0]), Job(mainline_7_3, deadly, 100_000), *(job(scenario=name) for name in names[1:])]
    found = {outcome.scenario: outcome for _, outcome in run_jobs(jobs, 2)}
    assert {name: str(outcome.verdict) for name, outcome in found.items()} == {
        names[0]: "holds", names[1]: "violated", names[2]: "holds", "own/deadly": "lost",
    }  # fmt: skip
    assert found["own/deadly"].reason == "its worker was killed twice"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_search_interrupts_the_run(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, jobs: int
) -> None:
    """The search itself catches the interruption and is bounded, which would be taken for its outcome."""
    real = search_shortest

    def interrupted(*args: Any) -> Any:
        with suppress(KeyboardInterrupt, Terminated):
            os.kill(os.getpid(), number)
        return real(*args)

    monkeypatch.setattr(runner, "search_shortest", interrupted)
    done = []
    with pytest.raises(Terminated if number == signal.SIGTERM else KeyboardInterrupt):
        for one, _ in run_jobs([job(), job(scenario="gpc/move-in-page")][:jobs], 1):
            done.append(one.scenario)
    assert done == [SCENARIO]


def test_threads_of_a_single_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than there are cores, however many are asked for: each takes memory."""
    threads = []
    real = search_shortest

    def note(program: Any, max_states: int, count: int, first: bool) -> Any:
        threads.append(count)
        return real(program, max_states, count, first)

    monkeypatch.setattr(runner, "search_shortest", note)
    assert [o.verdict for asked in (1, 1000, None) for _, o in run_jobs([job()], asked)] == ["holds"] * 3
    assert threads == [1, usable_cores(), usable_cores()]


def test_a_scenario_without_memory_is_bounded_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    real = make_system

    def short(design: Design, scenario: Any) -> System:
        if scenario == SCENARIO:
            raise MemoryError
        return real(design, scenario)

    monkeypatch.setattr(runner, "make_system", short)
    found = [(o.scenario, o.verdict, o.reason) for _, o in run_jobs([job(), job(scenario="gpc/move-in-page")], 1)]
    assert found == [(SCENARIO, "bounded", "out of memory"), ("gpc/move-in-page", "holds", "")]


def test_no_jobs() -> None:
    assert list(run_jobs([])) == []
