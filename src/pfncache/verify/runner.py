# SPDX-License-Identifier: GPL-2.0-only
"""Runs scenarios under designs, in several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from pfncache.check.compiler import compile_system
from pfncache.check.engine import explore
from pfncache.check.link import link
from pfncache.check.replay import Replay
from pfncache.check.search import BOUNDED, Result, Search
from pfncache.check.source import CompileError
from pfncache.check.system import System
from pfncache.kernel.model import KernelSplat
from pfncache.properties import PROBES
from pfncache.report.outcome import Outcome
from pfncache.report.trace import Trace, build, kernel_path, reason_of
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import describe
from pfncache.scenarios.world import World
from pfncache.series.design import Design


@dataclass(frozen=True)
class Job:
    """A scenario to search under a design."""

    design: Design
    scenario: str
    max_states: int
    reduction: bool = True


def make_system(design: Design, scenario: str) -> System:
    """The closed system of a scenario on a design's kernel, with every property's probe."""
    kernel = design.kernel(*PROBES)
    try:
        return SCENARIOS[scenario].build(kernel)
    except KernelSplat:
        World.defer_setup = True
        try:
            return SCENARIOS[scenario].build(kernel)
        finally:
            World.defer_setup = False


def search(job: Job) -> tuple[Search, Result, System]:
    """Compile and search. Raises CompileError for what the model's language does not have."""
    system = make_system(job.design, job.scenario)
    searching = Search(link(compile_system(system), job.reduction), job.max_states)
    return searching, searching.run(), system


def run(job: Job) -> Outcome:
    """Search one scenario under one design, and replay what is found."""
    try:
        searching, result, system = search(job)
    except MemoryError:
        return Outcome(job.scenario, BOUNDED, None, 0, 0, 0.0, "", reason="the memory that there is")
    trace = trace_of(searching, result) if result.property is not None and result.path else None
    reason = trace.reason if trace is not None else result.detail or result.reason
    return Outcome(
        job.scenario, result.verdict, result.property, result.states, result.transitions, result.seconds,
        describe(system), trace, reason,
    )  # fmt: skip


def trace_of(searching: Search, result: Result) -> Trace:
    """Replay a violation through the model's source."""
    replay = Replay(searching)
    try:
        replay.run(result.path)
        return build(replay, reason_of(replay.ending, result.detail))
    finally:
        replay.finish()


def engine_is_cached() -> bool:
    """Whether Numba has the engine's native code from an earlier run."""
    cache = explore._cache  # the dispatcher has no public name for it
    return os.path.isdir(cache.cache_path) and any("explore" in f for f in os.listdir(cache.cache_path))


def run_jobs(jobs: list[Job], processes: int | None = None) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs in parallel; yields each with its outcome when it is done. Ctrl-C ends the workers."""
    processes = min(processes or os.cpu_count() or 1, len(jobs))
    if processes <= 1:
        for job in jobs:
            yield job, run(job)
        return
    run_first = jobs[0]
    yield run_first, run(run_first)  # fills Numba's cache before the workers look for it
    # fork: a user's design need not be importable in a worker
    with ProcessPoolExecutor(processes, mp_context=get_context("fork"), initializer=_ignore_interrupt) as pool:
        futures = {pool.submit(_run_numbered, number): number for number in _share(jobs)}
        try:
            for future in as_completed(futures):
                yield jobs[futures[future]], future.result()
        except BaseException:
            workers = list(pool._processes.values())
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            raise


_jobs: list[Job] = []


def _share(jobs: list[Job]) -> range:
    """Leave the jobs where forked workers find them: designs hold classes that cannot be pickled."""
    _jobs[:] = jobs
    return range(1, len(jobs))


def _run_numbered(number: int) -> Outcome:
    return run(_jobs[number])


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def compile_error(error: CompileError) -> str:
    """The error in one line, with the file as in the kernel tree."""
    return f"{kernel_path(error.where.file)}:{error.where.line}: {error.what}"
