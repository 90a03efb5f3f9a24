# SPDX-License-Identifier: GPL-2.0-only
"""Runs scenarios under designs, in several processes."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any, cast

from pfncache.check.compile.source import CompileError, unwrap
from pfncache.check.engine.bfs import explore
from pfncache.check.replay import Divergence, Replay
from pfncache.check.search import Search, SearchResult, search_shortest
from pfncache.check.system import Heap, System
from pfncache.check.verdict import Verdict
from pfncache.designs.design import Design
from pfncache.scenarios.scenario import describe
from pfncache.verify.outcome import Outcome
from pfncache.verify.program_cache import program_of
from pfncache.verify.systems import make_system
from pfncache.verify.trace import Trace, build, kernel_path, reason_of

PATIENCE = 200_000
"""Objects between two runs of the garbage collector: compiling makes many small ones that live on."""


@dataclass(frozen=True)
class Job:
    """A scenario to search under a design."""

    design: Design
    scenario: str
    max_states: int
    reduction: bool = True
    threads: int = 1


def search(job: Job) -> tuple[Search, SearchResult, System]:
    """Compile and search. Raises CompileError for what the model's language does not have."""
    system = make_system(job.design, job.scenario)
    return *search_shortest(program_of(system, job.reduction), job.max_states, job.threads), system


def run(job: Job) -> Outcome:
    """Search one scenario under one design, and replay what is found."""
    return Alike(job).run(job)


class Alike:
    """Outcomes of one scenario under several designs. Designs that give the same system share one."""

    def __init__(self, first: Job) -> None:
        self.scenario = first.scenario
        self.known: list[tuple[Job, frozenset[str], tuple[Any, ...], Outcome]] = []

    def run(self, job: Job) -> Outcome:
        """The outcome of `job`, searched for unless an earlier one has the same functions, start and bounds."""
        try:
            return self._run(job)
        except MemoryError:
            return Outcome(job.scenario, Verdict.BOUNDED, None, 0, 0, 0.0, "", reason="the memory that there is")

    def _run(self, job: Job) -> Outcome:
        system = make_system(job.design, job.scenario)
        start = Heap.of(system).fingerprint()
        for known, used, signature, outcome in self.known:
            same_bounds = (known.max_states, known.reduction) == (job.max_states, job.reduction)
            if same_bounds and _signature(type(system.kernel), used, start) == signature:
                return replace(outcome)
        program = program_of(system, job.reduction)
        searching, result = search_shortest(program, job.max_states, job.threads)
        trace = _replayed(searching, result) if result.path or result.failure is not None else None
        reason = trace.reason if trace is not None else result.detail or result.reason
        outcome = Outcome(
            job.scenario, result.verdict, result.property, result.states, result.transitions, result.seconds,
            describe(system), trace, reason,
        )  # fmt: skip
        used = program.compiled.used
        self.known.append((job, used, _signature(type(system.kernel), used, start), outcome))
        return outcome


def _signature(kernel: type, used: frozenset[str], start: tuple[object, ...]) -> tuple[Any, ...]:
    """What a system's code and first state are made of: each definition of each used function, and the start.

    Code that is the same to the letter means something else in another module, with other constants.
    """
    code = tuple(
        (name, tuple(_meaning(vars(owner)[name]) for owner in kernel.__mro__ if callable(vars(owner).get(name))))
        for name in sorted(used)
    )
    return code, start


def _meaning(function: Any) -> tuple[Any, ...]:
    inner = unwrap(function)
    return inner.__code__, id(inner.__globals__)


def trace_of(searching: Search, result: SearchResult) -> Trace:
    """Replay a violation through the model's source."""
    replay = Replay(searching)
    try:
        replay.run(result.path, result.loop)
        return build(replay, reason_of(replay.ending, result.detail))
    finally:
        replay.finish()


def _replayed(searching: Search, result: SearchResult) -> Trace | None:
    """The trace of a violation; None, and nothing is claimed, where a sequence must wrap for it."""
    try:
        return trace_of(searching, result)
    except Divergence:
        if not searching.program.compiled.system.is_endless:
            raise
        result.verdict, result.property = Verdict.BOUNDED, None
        result.detail, result.reason = "", "a violation that needs a sequence to wrap"
        return None


def engine_is_cached() -> bool:
    """Whether Numba has the engine's native code from an earlier run."""
    cache: Any = cast(Any, explore)._cache  # the dispatcher has no public name for it
    return os.path.isdir(cache.cache_path) and any("explore" in f for f in os.listdir(cache.cache_path))


def run_jobs(jobs: list[Job], processes: int | None = None) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs in parallel; yields each with its outcome when it is done. Ctrl-C ends the workers.

    A worker gets all designs of a scenario, as they often share its system.
    """
    gc.set_threshold(PATIENCE)
    batches: dict[str, list[Job]] = {}
    for job in jobs:
        batches.setdefault(job.scenario, []).append(job)
    work = list(batches.values())
    cores = processes or os.cpu_count() or 1
    processes = min(cores, len(work))
    if len(work) == 1:  # the cores share its search
        work = [[replace(job, threads=cores) for job in work[0]]]
    if processes <= 1:
        for batch in work:
            yield from _run_batch(batch)
        return
    yield from _run_batch(work[0])  # fills Numba's cache before the workers look for it
    _work[:] = work
    # fork: designs hold classes that cannot be pickled, and a user's design need not be importable in a worker
    with ProcessPoolExecutor(processes, mp_context=get_context("fork"), initializer=start_worker) as pool:
        futures = {pool.submit(_run_numbered, number): number for number in range(1, len(work))}
        workers = list(pool._processes.values())
        try:
            for future in as_completed(futures):
                yield from zip(work[futures[future]], future.result(), strict=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            raise


_work: list[list[Job]] = []


def _run_batch(batch: list[Job]) -> list[tuple[Job, Outcome]]:
    alike = Alike(batch[0])
    return [(job, alike.run(job)) for job in batch]


def _run_numbered(number: int) -> list[Outcome]:
    return [outcome for _, outcome in _run_batch(_work[number])]


def start_worker() -> None:
    """What a process for searches begins with: Ctrl-C is its parent's, and the garbage collector has patience."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(PATIENCE)


def compile_error(error: CompileError) -> str:
    """The error in one line, with the file as in the kernel tree."""
    return f"{kernel_path(error.where.file)}:{error.where.line}: {error.what}"
