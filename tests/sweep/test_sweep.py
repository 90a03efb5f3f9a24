# SPDX-License-Identifier: GPL-2.0-only
"""A sweep does each job once, whatever happens to it and to its workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pfncache.check.program.layout import link
from pfncache.check.search import Search
from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import mainline_7_3
from pfncache.scenarios.generated import pairs, singles
from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.shape import Shape, ShapeBounds
from pfncache.scenarios.world import MemoryKind
from pfncache.sweep import runner
from pfncache.sweep.job import FileVersion, Limits, SweepJob, SweepRow, lost_row, run_job
from pfncache.sweep.runner import SweepError, jobs, on_executor, sweep, workers
from pfncache.sweep.store import Store
from pfncache.verify.job import Job
from pfncache.verify.loader import UserFileError
from pfncache.verify.runner import run
from tests.conftest import Run

SMALL = [Shape(MemoryKind.ANON, (name,)) for name in ("munmap", "touch", "slot-log", "zap-range", "walk", "emulate")]
LIMITS = Limits()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "results.sqlite")
    yield made
    made.close()


def test_sizes() -> None:
    """The smaller ones first; what can happen once does not happen twice; each has a name of its own."""
    small = list(ShapeBounds(2, 1, 1, 3).shapes())
    assert len(small) == sum(len(op.memory) for op in OPERATIONS.values()) == 107
    large = list(ShapeBounds(3, 2, 2, 4).shapes())
    assert large[: len(small)] == small
    generated = [s.name for s in (*singles(), *pairs())]
    repeatable = [name for name in generated if "close" not in name]
    assert len({s.name for s in large}) == len(large) == 4 * len(generated) + 4 * len(repeatable) == 7156
    assert not any(s.rounds > 1 and "close" in s.operations for s in large)


@pytest.mark.parametrize("bounds", [(2, 1, 1, 3), (3, 2, 2, 4), (4, 1, 3, 3), (4, 3, 1, 5)])
def test_count_is_that_of_the_shapes(bounds: tuple[int, int, int, int]) -> None:
    found = ShapeBounds(*bounds)
    made = Counter(shape.memory for shape in found.shapes())
    assert made == {memory: found.count(memory) for memory in MemoryKind}


def test_job_is_what_verify_finds() -> None:
    outcome = run(Job(mainline_7_3, "clock/anon/munmap", 1_000_000))
    row = run_job(SweepJob("mainline-7.3", Shape(MemoryKind.ANON, ("munmap",), updates=2)), LIMITS)
    assert (row.verdict, row.states, row.transitions) == (outcome.verdict, outcome.states, outcome.transitions)


def test_limits() -> None:
    row = run_job(
        SweepJob("mainline-7.3", Shape(MemoryKind.ANON, ("slot-replace", "munmap"), 2, 2)), Limits(megabytes=1)
    )
    assert (row.verdict, row.property) == ("bounded", None)
    assert row.reason.startswith("the limit of ")


CLOCKLESS = '''
from pfncache import Patch, designs
from pfncache.linux.arch.x86.kvm.x86 import X86


class NoClock(Patch, X86):
    """KVM: x86: do not write the clock."""

    def kvm_guest_time_update(self, vcpu):
        pass


clockless = designs["mainline-7.3"] + [NoClock]
'''


def test_a_vacuous_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a job is called so, it is searched without reductions, as verify does."""
    linked: list[bool] = []

    def counted(compiled: Any, reduction: bool = True) -> Any:
        linked.append(reduction)
        return link(compiled, reduction)

    monkeypatch.setattr("pfncache.sweep.job.link", counted)
    (tmp_path / "mine.py").write_text(CLOCKLESS)
    job, *_ = jobs([str(tmp_path / "mine.py")], [Shape(MemoryKind.ANON, ("touch",))])
    row = run_job(job, LIMITS)
    assert (row.verdict, row.property) == ("vacuous", None)
    assert row.reason == "the clock was never written"
    assert linked == [True, False]
    assert run_job(SweepJob("mainline-7.3", job.scenario), LIMITS).verdict == "holds"
    assert linked == [True, False, True]


def test_what_only_the_second_search_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is not vacuous if a search without reductions reaches what the first one has not."""
    whole = vars(Search)["reached"].fget
    monkeypatch.setattr(Search, "reached", property(lambda s: frozenset() if s.program.has_masks else whole(s)))
    row = run_job(SweepJob("mainline-7.3", Shape(MemoryKind.ANON, ("touch",))), LIMITS)
    assert (row.verdict, row.reason) == ("holds", "")


OWN = '''
from pfncache import Patch, scenario
from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import mainline_7_3
from pfncache.linux.arch.x86.kvm.x86 import X86


class Unlock(Patch, X86):
    """KVM: release a lock that is not held."""

    def kvm_guest_time_update(self, vcpu):
        vcpu.rq.lock.unlock()


good = mainline_7_3 + []
bad = mainline_7_3 + [Unlock]


@scenario
def unmapped(w):
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))
'''


def test_designs_and_scenarios_of_a_users_file(store: Store, tmp_path: Path) -> None:
    """They are searched in processes that have never seen the file, and again after an edit."""
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    work = jobs([str(file)], SMALL[:1])
    assert [(job.design, str(job.scenario)) for job in work[-2:]] == [
        ("good", "mine/unmapped"),
        ("bad", "mine/unmapped"),
    ]
    with workers(2, None) as search:
        sweep(search, work, store, LIMITS, lambda row: None)
    assert store.query("SELECT design LIKE 'good@%', verdict, actors, pages FROM results ORDER BY 1") == [
        (0, "violated", 2, 3), (0, "violated", 1, 3), (1, "holds", 2, 3), (1, "holds", 2, 3),
    ]  # fmt: skip
    assert {job.key for job in jobs([str(file)], SMALL[:1])} == store.done(LIMITS)
    file.write_text(OWN + "# edited\n")
    assert not {job.key for job in jobs([str(file)], SMALL[:1])} & store.done(LIMITS)
    with pytest.raises(UserFileError, match="has changed since the sweep began"):
        run_job(work[0], LIMITS)
    with pytest.raises(UserFileError, match="no such file on this worker"):
        run_job(replace(work[0], design_file=FileVersion(str(tmp_path / "other.py"), "0")), LIMITS)


class Interrupting(ThreadPoolExecutor):
    """Breaks down after some jobs."""

    left = 2

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().submit(fn, *args, **kwargs)


def test_goes_on_where_it_was_interrupted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "AHEAD", 1)
    work = jobs(["mainline-7.3"], SMALL)
    first: list[str] = []
    second: list[str] = []
    with pytest.raises(KeyboardInterrupt), Interrupting(1) as pool:
        sweep(on_executor(pool), work, store, LIMITS, lambda row: first.append(row.scenario))
    with ThreadPoolExecutor(1) as pool:
        sweep(on_executor(pool), work, store, LIMITS, lambda row: second.append(row.scenario))
    assert len(first) == 2
    assert sorted(first + second) == sorted(s.name for s in SMALL)


def test_a_job_that_is_done_twice_counts_once(store: Store) -> None:
    row = run_job(SweepJob("mainline-7.3", SMALL[0]), LIMITS)
    store.add(row)
    store.add(row)
    assert store.query("SELECT count(*) FROM results") == [(1,)]


def scripted(job: SweepJob, limits: Limits) -> SweepRow:
    """A result by the scenario's operation; a walk kills its worker."""
    assert isinstance(job.scenario, Shape)
    (operation,) = job.scenario.operations
    if operation == "walk":
        os.kill(os.getpid(), signal.SIGKILL)
    verdict = {"touch": Verdict.VIOLATED, "munmap": Verdict.BOUNDED}.get(operation, Verdict.HOLDS)
    return replace(lost_row(job, limits), verdict=verdict, reason="")


def test_a_killed_worker_costs_one_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is lost, and tried again by the next run."""
    monkeypatch.setattr(runner, "run_job", scripted)
    work = jobs(["mainline-7.3"], SMALL)
    with workers(2, None) as search:
        sweep(search, work, store, LIMITS, lambda row: None)
    assert store.query("SELECT operations, verdict, reason FROM results ORDER BY 1") == [
        ("emulate", "holds", ""), ("munmap", "bounded", ""), ("slot-log", "holds", ""), ("touch", "violated", ""),
        ("walk", "lost", "its worker was killed twice"), ("zap-range", "holds", ""),
    ]  # fmt: skip
    again: list[str] = []
    monkeypatch.setattr(runner, "run_job", lambda job, limits: replace(lost_row(job, limits), verdict=Verdict.HOLDS))
    with workers(2, None) as search:
        sweep(search, work, store, LIMITS, lambda row: again.append(f"{row.operations} {row.verdict}"))
    assert again == ["walk holds"]


@pytest.mark.parametrize(
    ("names", "code", "rest"),
    [
        (("slot-log", "zap-range"), 0, ""),
        (("slot-log", "munmap"), 3, "; 1 bounded"),
        (("slot-log", "walk"), 3, "; 1 lost"),
        (("touch", "munmap", "walk", "slot-log"), 1, "; 1 violated, 1 lost, 1 bounded"),
    ],
)
def test_exit_status(
    pfncache: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...], code: int, rest: str,
) -> None:  # fmt: skip
    """0 only if every job holds; the second time without doing any of them but the lost ones."""
    small = [Shape(MemoryKind.ANON, (name,)) for name in names]
    monkeypatch.setattr("pfncache.scenarios.shape.ShapeBounds.shapes", lambda _: iter(small))
    monkeypatch.setattr(runner, "run_job", scripted)
    file = tmp_path / "s.sqlite"
    for now in (len(names), int("walk" in names)):
        run = pfncache("sweep", "mainline-7.3", "-o", str(file))
        assert run.out == f"{len(names)} jobs, {now} of them now; {len(names)} results in {file}{rest}\n", run.err
        assert run.code == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_sweep(
    pfncache: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    parent = os.getpid()

    def interrupt(job: SweepJob, limits: Limits) -> SweepRow:
        if "munmap" in job.scenario_key:
            time.sleep(1)  # the result of the first job is in the file by then
            os.kill(parent, number)
            time.sleep(60)
        return run_job(job, limits)

    monkeypatch.setattr(runner, "run_job", interrupt)
    monkeypatch.setattr("pfncache.scenarios.shape.ShapeBounds.shapes", lambda _: iter(reversed(SMALL[:2])))
    file = tmp_path / "s.sqlite"
    run = pfncache("sweep", "mainline-7.3", "--jobs", "1", "-o", str(file))
    assert (run.code, run.out) == (code, "")
    assert run.err == f"interrupted; the same command goes on with {file}\n"
    kept = Store.reading(file)
    assert kept.query("SELECT operations FROM results") == [("touch",)]
    kept.close()


def test_other_sources_on_a_worker(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run_job", lambda job, limits: replace(lost_row(job, limits), sources="other"))
    with pytest.raises(SweepError, match=r"a worker has other sources of pfncache \(other\) than this"):
        sweep(runner.in_processes(1), jobs(["mainline-7.3"], SMALL), store, LIMITS, lambda row: None)
    assert store.query("SELECT * FROM results") == []


@pytest.mark.slow
def test_command_and_report(pfncache: Callable[..., Run], tmp_path: Path) -> None:
    file, picture = tmp_path / "s.sqlite", tmp_path / "growth.svg"
    size = ("--actors", "2", "--updates", "1", "--memory", "pfnmap", "-o", str(file))
    run = pfncache("sweep", "mainline-7.3", *size)
    assert (run.code, run.out) == (0, f"9 jobs, 9 of them now; 9 results in {file}\n"), run.err
    again = pfncache("sweep", "mainline-7.3", *size)
    assert again.out == f"9 jobs, 0 of them now; 9 results in {file}\n"
    table = pfncache("report", str(file)).out
    assert "mainline-7.3" in table
    assert "only one value" in table
    pytest.importorskip("matplotlib")
    assert pfncache("report", str(file), "--plot", str(picture)).code == 0
    assert picture.read_text().startswith("<?xml")


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_dask_cluster_survives_the_kill_of_a_worker(store: Store, tmp_path: Path) -> None:
    """Two workers, of which one is killed while jobs run: every job has one result, none is reported twice."""
    pytest.importorskip("distributed")
    address = tmp_path / "scheduler.json"
    cluster = [
        start("distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(address))
    ]
    work = jobs(["mainline-7.3"], ShapeBounds(2, 2, 1, 3, (MemoryKind.ANON, MemoryKind.MEMFD)).shapes())
    seen: Counter[str] = Counter()
    killed = threading.Event()
    worker = (
        "distributed.cli.dask_worker",
        "--scheduler-file",
        str(address),
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
    )
    try:
        cluster += [start(*worker), start(*worker)]

        def note(row: Any) -> None:
            seen[row.scenario] += 1
            if len(seen) == 10:
                os.kill(cluster[1].pid, signal.SIGKILL)
                killed.set()

        with workers(None, _address_in(address)) as search:
            sweep(search, work, store, LIMITS, note)
    finally:
        for process in cluster:
            process.kill()
            process.wait()
    assert killed.is_set()
    assert set(seen.values()) == {1}
    assert store.done(LIMITS) == {job.key for job in work}
    assert store.query("SELECT count(*) FROM results") == [(len(work),)]


def _address_in(file: Path) -> str:
    import json

    for _ in range(300):
        try:
            return str(json.loads(file.read_text())["address"])
        except (OSError, ValueError):
            time.sleep(0.1)
    raise TimeoutError("the scheduler does not start")
