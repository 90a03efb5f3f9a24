# SPDX-License-Identifier: GPL-2.0-only
"""Searches scenarios under designs, in several processes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pfncache.check.engine.bfs import explore
from pfncache.check.engine.numba_cache import is_cached
from pfncache.check.final_states import FinalStates
from pfncache.check.program.layout import Program
from pfncache.check.replay import Divergence, Replay
from pfncache.check.result import Found, SearchResult
from pfncache.check.search import Search
from pfncache.check.shortest import search_shortest
from pfncache.check.system import Heap, System
from pfncache.check.verdict import Verdict
from pfncache.designs.design import Design
from pfncache.interrupts import interruptible, reraise
from pfncache.scenarios.scenario import Scenario, describe
from pfncache.verify.identity import is_from_c, recorded_calls, signature
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.program_cache import covering_program_of, program_of
from pfncache.verify.reach import compared, results_of
from pfncache.verify.systems import MissingFunction, make_system
from pfncache.verify.trace import Trace
from pfncache.verify.trace_builder import build, reason_of
from pfncache.verify.workers import GC_THRESHOLD, LOST, Item, Result, Workers, usable_cores

OUT_OF_MEMORY = "out of memory"
"""What ended a search that found no memory."""
NEEDS_WRAP = "a violation that needs a sequence number to wrap"
"""What limits a search with a path that exists in the compiled form only."""


@dataclass(frozen=True)
class Job:
    """A scenario to search under a design."""

    design: Design
    scenario: Scenario | str
    """A scenario, or the name of one in the catalogue."""
    max_states: int
    """Distinct states after which the search is bounded."""
    reduction: bool = True
    """Search a persistent set of actors where there is a smaller one."""
    threads: int = 1
    coverage: bool = False
    """Report the lines that are executed."""
    first: bool = False
    """End the search at the first violation."""
    base_reached: frozenset[str] = frozenset()
    """Targets that the design's base has reached in an earlier run, which the design has to reach, too."""
    elsewhere: frozenset[str] = frozenset()
    """Functions that other designs add: a scenario that calls one of them does not apply to a design without it."""
    earlier: tuple[tuple[Job, Outcome], ...] = ()
    """Outcomes of the same scenario in earlier runs of this process, with their jobs."""

    @property
    def bounds(self) -> tuple[int, bool, bool]:
        """What limits the search."""
        return self.max_states, self.reduction, self.first

    @property
    def scenario_name(self) -> str:
        """The name of the scenario."""
        return self.scenario if isinstance(self.scenario, str) else self.scenario.name


def search(job: Job) -> tuple[Search, SearchResult, System]:
    """Compile and search. Raises CompileError for what the modelling language does not have."""
    system = make_system(job.design, job.scenario)
    program = _program(job, system, job.reduction)
    return *search_shortest(program, job.max_states, job.threads, job.first), system


@dataclass(frozen=True, kw_only=True)
class FinalSearch:
    """A search that has kept the final states apart."""

    outcome: Outcome
    final: FinalStates


def search_final(job: Job) -> FinalSearch:
    """Search once, for the outcome and for the final states by every variable and by what each operation returned.

    Violations have the first path that was found, not a shortest one. Raises CompileError and MemoryError.
    """
    system = make_system(job.design, job.scenario).with_results()
    searching = Search(program_of(system, job.reduction, final=True), job.max_states, job.threads)
    outcome = _outcome(job, system, searching, searching.run())
    if job.reduction and outcome.verdict == Verdict.VACUOUS:
        outcome = _unreduced(job, system, outcome)
    return FinalSearch(outcome=outcome, final=FinalStates.of(searching))


def same_program(done: FinalSearch, job: Job) -> bool:
    """Return whether a search of `job` would have the program of another design's that was made."""
    compiled = done.final.program.compiled
    systems = compiled.system, make_system(job.design, job.scenario).with_results()
    signatures = [signature(type(system.kernel), compiled.used, Heap.of(system).fingerprint()) for system in systems]
    return signatures[0] == signatures[1]


def _program(job: Job, system: System, reduction: bool) -> Program:
    return (covering_program_of if job.coverage else program_of)(system, reduction)


def run(job: Job) -> Outcome:
    """Search one scenario under one design, and replay the violations that are found."""
    return OutcomeCache().run(job)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A search that was done: its bounds, the functions that its program uses and what they are, and its outcome."""

    bounds: tuple[int, bool, bool]
    used: frozenset[str]
    signature: tuple[Any, ...]
    outcome: Outcome

    def is_of(self, job: Job, system: System, start: tuple[object, ...]) -> bool:
        """Return whether the search of a job would be the same."""
        return self.bounds == job.bounds and signature(type(system.kernel), self.used, start) == self.signature


class OutcomeCache:
    """Outcomes of one scenario under several designs. Designs that give the same system share one search."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self._earlier: dict[int, _Entry] = {}
        """Entries of earlier runs, by the identity of the outcome."""

    def run(self, job: Job) -> Outcome:
        """Return the outcome of `job`: a cached one if it has the same functions, initial state and bounds."""
        try:
            return self._run(job)
        except MissingFunction as missing:
            if missing.name not in job.elsewhere:
                raise
            reason = f"{job.design.name or 'the design'} has no function {missing.name}()"
            return Outcome.not_applicable(job.scenario_name, reason=reason)
        except MemoryError:
            return Outcome.bounded(job.scenario_name, reason=OUT_OF_MEMORY)

    def _run(self, job: Job) -> Outcome:
        system, called = _set_up(job)
        start = _start(system)
        for entry in self.entries:
            if entry.is_of(job, system, start):
                return entry.outcome.excused(_reasons(job, system))
        before = job.base_reached.union(*(compared(entry.outcome.targets) for entry in self.entries))
        entry = self._entry_of_earlier_run(job, system, start, before) or self._search(job, system, start, before)
        if called is not None:
            entry = replace(entry, outcome=replace(entry.outcome, used=entry.used | called))
        self.entries.append(entry)
        return entry.outcome

    def _search(self, job: Job, system: System, start: tuple[object, ...], before: frozenset[str]) -> _Entry:
        program = _program(job, system, job.reduction)
        outcome = _outcome(job, system, *search_shortest(program, job.max_states, job.threads, job.first))
        if job.reduction and outcome.judged(before).verdict == Verdict.VACUOUS:
            outcome = _unreduced(job, system, outcome)
        used = program.compiled.used
        identity = signature(type(system.kernel), used, start)
        return _Entry(bounds=job.bounds, used=used, signature=identity, outcome=replace(outcome, used=used))

    def _entry_of_earlier_run(
        self, job: Job, system: System, start: tuple[object, ...], before: frozenset[str]
    ) -> _Entry | None:
        """Return the entry of an earlier run whose system is the same; none whose targets are to be searched again."""
        for old, outcome in job.earlier:
            if id(outcome) not in self._earlier:
                then = make_system(old.design, old.scenario)
                identity = signature(type(then.kernel), outcome.used, _start(then))
                self._earlier[id(outcome)] = _Entry(
                    bounds=old.bounds, used=outcome.used, signature=identity, outcome=outcome
                )
            entry = self._earlier[id(outcome)]
            excused = outcome.excused(_reasons(job, system))
            if entry.is_of(job, system, start) and excused.judged(before).verdict != Verdict.VACUOUS:
                return replace(entry, outcome=excused)
        return None


def _start(system: System) -> tuple[object, ...]:
    """Return the initial state, and the structures that a user's file declares: their methods are none of a kernel."""
    heap = Heap.of(system)
    return heap.fingerprint(), *(kind for kind in heap.pools if not kind.__module__.startswith("pfncache."))


def _set_up(job: Job) -> tuple[System, set[str] | None]:
    """Return the system of a job and, for a design from C, the names of all functions that the set-up called."""
    if not is_from_c(job.design):
        return make_system(job.design, job.scenario), None
    with recorded_calls() as called:
        system = make_system(job.design, job.scenario)
    return system, called


def _outcome(job: Job, system: System, searching: Search, result: SearchResult) -> Outcome:
    """Return the outcome of a search, with the trace of each violation."""
    violations: dict[object, Violation] = {}
    limits = [result.reason] if result.reason else []
    for found in result.found:
        try:
            violation = _violation(searching, found)
        except Divergence:
            if not system.is_endless:
                raise
            limits.append(NEEDS_WRAP)
        else:
            violations.setdefault(violation.identity, violation)  # those with the shortest paths come first
    verdict = result.verdict
    if verdict == Verdict.VIOLATED and not violations:
        verdict = Verdict.BOUNDED
    outcome = Outcome(
        scenario=job.scenario_name,
        verdict=verdict,
        violations=tuple(violations.values()),
        states=result.states,
        transitions=result.transitions,
        seconds=result.seconds,
        bounds=describe(system),
        limit="; ".join(dict.fromkeys(limits)),
        covered=searching.covered,
        targets=results_of(
            searching.program.targets, searching.reached, required=system.targets, unreachable=_reasons(job, system)
        ),
    )
    return outcome.judged()


def _reasons(job: Job, system: System) -> dict[str, str]:
    """Return the targets that a search need not reach, with the reason that the scenario or the design states."""
    return {**system.unreachable, **job.design.unreachable}


def _unreduced(job: Job, system: System, outcome: Outcome) -> Outcome:
    """Search again without reductions: what no interleaving reaches is not to depend on those that they leave out.

    Returns the outcome of the first search with what either has reached, or that of the second if it finds a violation.
    """
    program = _program(job, system, reduction=False)
    again = _outcome(job, system, *search_shortest(program, job.max_states, job.threads))
    if again.verdict == Verdict.VIOLATED:
        return again
    reached = {r.target for o in (outcome, again) for r in o.targets if r.reached}
    targets = tuple(replace(r, reached=r.target in reached) for r in outcome.targets)
    covered = outcome.covered | again.covered
    return replace(outcome, targets=targets, covered=covered, seconds=outcome.seconds + again.seconds).judged()


def _violation(searching: Search, found: Found) -> Violation:
    """Return a violation with its trace, if it has a path with steps or fails. Raises Divergence."""
    trace = trace_of(searching, found) if found.path or found.failure is not None else None
    reason = trace.reason if trace is not None else found.detail
    failure = found.failure.stack if found.failure is not None else ()
    stack = (*found.point, *(place for place in failure if place not in found.point))
    calls = tuple((place.function, place.text) for place in stack if place.function)
    return Violation(property=found.property, reason=reason, trace=trace, calls=calls)


def trace_of(searching: Search, found: Found) -> Trace:
    """Replay a violation through the model's source. Raises Divergence if it needs a sequence number to wrap."""
    replay = Replay(searching)
    try:
        replay.run(found)
        return build(replay, reason_of(replay.ending, found.detail))
    finally:
        replay.finish()


def engine_is_cached() -> bool:
    """True if Numba's cache has the engine's native code from an earlier run."""
    return is_cached(explore)


def run_jobs(jobs: list[Job], processes: int | None = None) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs in parallel; yield each with its outcome when it is done. Ctrl-C and SIGTERM end the workers.

    A worker gets all designs of a scenario, as they often share its system. A job whose worker is killed is repeated
    once, and then lost. No more processes and threads are started than there are cores.

    Raises KeyboardInterrupt, also if the search that it interrupted has ended as bounded, and Terminated at SIGTERM.
    """
    batches: dict[str, list[Job]] = {}
    for job in jobs:
        batches.setdefault(job.scenario_name, []).append(job)
    work = list(batches.values())
    cores = min(processes or usable_cores(), usable_cores())
    if len(work) == 1:  # its search uses all cores
        work = [[replace(job, threads=cores) for job in work[0]]]
    for job, found in run_batches(_run_batch, work, cores):
        yield job, found or Outcome.lost(job.scenario_name, reason=LOST)


def run_batches(
    function: Callable[[Sequence[Item]], Iterator[Result]], batches: Sequence[Sequence[Item]], processes: int | None
) -> Iterator[tuple[Item, Result | None]]:
    """Apply a function that searches to batches of items, as run_jobs() does; None for what is lost."""
    gc.set_threshold(GC_THRESHOLD)
    cores = min(processes or usable_cores(), usable_cores())
    # a first one here fills Numba's cache before the workers look for it
    here = batches[:1] if min(cores, len(batches)) > 1 else batches
    with interruptible():
        for batch in here:
            for item, result in zip(batch, function(batch), strict=True):
                yield item, result
                reraise()
        for item, found in Workers(function, batches[len(here) :], cores).run():
            yield item, found
            reraise()


def _run_batch(batch: Sequence[Job]) -> Iterator[Outcome]:
    cache = OutcomeCache()
    return map(cache.run, batch)
