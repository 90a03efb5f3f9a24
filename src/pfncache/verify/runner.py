# SPDX-License-Identifier: GPL-2.0-only
"""Searches scenarios under designs, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pfncache.check.engine.bfs import explore
from pfncache.check.engine.numba_cache import is_cached
from pfncache.check.final_states import FinalStates
from pfncache.check.guided import GuidedSearch
from pfncache.check.program.layout import Program
from pfncache.check.replay import Divergence, Replay
from pfncache.check.result import Found, SearchResult
from pfncache.check.search import Search
from pfncache.check.shortest import search_shortest
from pfncache.check.system import Heap, System
from pfncache.check.verdict import Verdict
from pfncache.interrupts import interruptible, reraise
from pfncache.scenarios.scenario import describe
from pfncache.verify.garbage import Garbage
from pfncache.verify.identity import functions_digest, recorded_calls
from pfncache.verify.job import Job
from pfncache.verify.kept_outcomes import KeptOutcomes
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.program_cache import covering_program_of, program_of, whole_program_of
from pfncache.verify.reach import compared, results_of
from pfncache.verify.systems import MissingFunction, make_system
from pfncache.verify.trace import Trace
from pfncache.verify.trace_builder import build, reason_of
from pfncache.verify.workers import LOST, Item, Result, Workers, usable_cores

OUT_OF_MEMORY = "out of memory"
"""What ended a search that found no memory."""
NEEDS_WRAP = "a violation that needs a sequence number to wrap"
"""What limits a search with a path that exists in the compiled form only."""


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
    kernels: list[type] = [type(system.kernel) for system in systems]
    found = [
        (Heap.of(system).fingerprint(), functions_digest(kernel, compiled.used))
        for system, kernel in zip(systems, kernels, strict=True)
    ]
    return found[0] == found[1]


def _program(job: Job, system: System, reduction: bool) -> Program:
    if job.coverage:
        return covering_program_of(system, reduction)
    return program_of(system, reduction, keep=not job.kept)


def run(job: Job) -> Outcome:
    """Search one scenario under one design, and replay the violations that are found."""
    return OutcomeCache().run(job)


class OutcomeCache:
    """Outcomes of one scenario under several designs. A search that would be the same as an earlier one is not made."""

    def __init__(self, kept: KeptOutcomes | None = None) -> None:
        self.kept = kept if kept is not None else KeptOutcomes()
        self._reached: dict[int, frozenset[str]] = {}
        """By the identity of a design: the targets that it has reached."""

    def run(self, job: Job) -> Outcome:
        """Return the outcome of `job`: a kept one if all that determines the search is the same."""
        try:
            outcome = self._run(job)
        except MissingFunction as missing:
            if missing.name not in job.elsewhere:
                raise
            reason = f"{job.design.name or 'the design'} has no function {missing.name}()"
            return Outcome.not_applicable(job.scenario_name, reason=reason)
        except MemoryError:
            return Outcome.bounded(job.scenario_name, reason=OUT_OF_MEMORY)
        self._reached[id(job.design)] = compared(outcome.targets)
        return outcome

    def _run(self, job: Job) -> Outcome:
        before = job.base_reached | self._reached.get(id(job.base), frozenset())
        outcome = self.kept.find(job, before)
        if outcome is not None:
            return outcome
        with recorded_calls() as names:
            system = make_system(job.design, job.scenario)
        used = frozenset(name for name in names if hasattr(type(system.kernel), name))
        return self.kept.find_system(job, system, used, before) or self._search(job, system, used, before)

    def _search(self, job: Job, system: System, used: frozenset[str], before: frozenset[str]) -> Outcome:
        program = _program(job, system, job.reduction)
        outcome = _outcome(job, system, *search_shortest(program, job.max_states, job.threads, job.first))
        is_unreduced = not job.reduction or outcome.judged(before).verdict == Verdict.VACUOUS
        if job.reduction and is_unreduced:
            outcome = _unreduced(job, system, outcome)
        if job.budget and outcome.limit and not (job.first and outcome.violations):
            outcome = _guided(job, system, outcome)
        called = program.compiled.used
        outcome = replace(outcome, used=called | used)
        self.kept.add(job, system, outcome, called=called, is_unreduced=is_unreduced)
        return outcome


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


def _guided(job: Job, system: System, outcome: Outcome) -> Outcome:
    """Search on with random walks, for what a search that was not complete has not found.

    What was reached and found is added. The outcome is not complete for that, and the limit says what was done.
    """
    guided = GuidedSearch(whole_program_of(system))
    result = guided.run(job.budget)
    violations = {violation.identity: violation for violation in outcome.violations}
    for found in result.found:
        violation = replace(_violation(guided.search, found), is_walk=True)
        violations.setdefault(violation.identity, violation)
    targets = tuple(replace(r, reached=r.reached or r.target in guided.search.reached) for r in outcome.targets)
    return replace(
        outcome,
        verdict=Verdict.VIOLATED if violations else outcome.verdict,
        violations=tuple(violations.values()),
        limit=f"{outcome.limit}; {result}",
        targets=targets,
        seconds=outcome.seconds + result.seconds,
    )


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
    garbage = Garbage()
    cores = min(processes or usable_cores(), usable_cores())
    # a first one here fills Numba's cache before the workers look for it
    here = batches[:1] if min(cores, len(batches)) > 1 else batches
    with interruptible():
        for batch in here:
            for item, result in zip(batch, function(batch), strict=True):
                yield item, result
                garbage.collect()
                reraise()
        for item, found in Workers(function, batches[len(here) :], cores).run():
            yield item, found
            reraise()


def _run_batch(batch: Sequence[Job]) -> Iterator[Outcome]:
    cache = OutcomeCache(KeptOutcomes.of(batch[0]) if batch[0].kept else None)
    try:
        for job in batch:
            yield cache.run(job)
    finally:
        cache.kept.write()
