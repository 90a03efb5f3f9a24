# SPDX-License-Identifier: GPL-2.0-only
"""Exhaustive search of a program, to the end or to a limit, and what it found."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfncache.check import explain
from pfncache.check.engine import interpreter
from pfncache.check.engine.bfs import Control, StopReason, explore, new_worker
from pfncache.check.engine.parallel_bfs import WorkerPool
from pfncache.check.engine.persistent_sets import clear_dead
from pfncache.check.engine.visited import Visited
from pfncache.check.ir import Failure, SourceLine
from pfncache.check.liveness.fairness import fair_states
from pfncache.check.liveness.graph import graph_of
from pfncache.check.liveness.lasso import loop_of
from pfncache.check.lock_order import find_cycle
from pfncache.check.path import Choice
from pfncache.check.program.image import REGISTERS
from pfncache.check.program.layout import Program
from pfncache.check.verdict import Verdict

DEFAULT_MAX_STATES = 50_000_000
PAUSE_STATES = 200_000
"""States expanded between two checks of the time limit and of Ctrl-C."""
SHORTEST_FACTOR = 20
"""The search for a shortest trace is limited to this many times the states of the search that found the violation."""
SHORTEST_MIN_STATES = 1_000_000
"""States that the search for a shortest trace may visit in any case."""
OUT_OF_MEMORY = "out of memory"


@dataclass(kw_only=True)
class SearchResult:
    """The verdict of a search, and the path to what it found."""

    verdict: Verdict
    property: str | None = None
    states: int = 1
    transitions: int = 0
    seconds: float = 0.0
    path: list[Choice] = field(default_factory=list)
    failure: Failure | None = None
    loop: int | None = None
    """Of a livelock: the index of the step of the path with which its loop begins; the loop is the rest of the path."""
    detail: str = ""
    reason: str = ""
    """Why the search is bounded."""
    bytes_per_state: float = 0.0

    def violate(self, name: str, detail: str = "") -> None:
        """Record the violation of a property."""
        self.verdict, self.property, self.detail = Verdict.VIOLATED, name, detail


class StepResult(NamedTuple):
    """The result of one step."""

    result: int
    """STEPPED or another result of interpreter.step(); `after` is a state only if it is STEPPED."""
    after: NDArray[np.uint64]
    events: int
    """Preemption points that the step passed."""
    outcomes: int
    """Outcomes of its nondeterministic choice."""


class ModelError(Exception):
    """The model stored a value out of the range of its type: a defect of the model, not of the design."""


def search_shortest(program: Program, max_states: int, threads: int = 1) -> tuple[Search, SearchResult]:
    """Search; after a violation, search again without persistent sets for a shortest trace.

    A search with persistent sets finds a violation whenever there is one, but the trace may begin with steps that the
    violation does not depend on. The second search is bounded by SHORTEST_FACTOR and SHORTEST_MIN_STATES; if it finds
    nothing within them, the first result stands.
    """
    searching = Search(program, max_states, threads)
    result = searching.run()
    if result.verdict == Verdict.VIOLATED and result.path and program.has_masks:
        limit = min(max_states, max(SHORTEST_MIN_STATES, SHORTEST_FACTOR * result.states))
        again = Search(program.without_masks(), limit, threads)
        shortest = again.run()
        if shortest.verdict == Verdict.VIOLATED:
            return again, shortest
    return searching, result


class Search:
    """A search of one program."""

    def __init__(self, program: Program, max_states: int = DEFAULT_MAX_STATES, threads: int = 1) -> None:
        self.program = program
        self.max_states = max_states
        self.threads = threads
        image = program.image
        self.registers = np.zeros(int(image[REGISTERS]) + 1, dtype=np.int64)
        interpreter.prepare(image, self.registers)
        self.out = np.zeros(interpreter.OUT_SIZE, dtype=np.int64)
        marks = len(program.targets) + len(program.lines) + len(program.acquisitions)
        self.cover = np.zeros(max(1, marks), dtype=np.uint8)
        self.start_events: list[int] = []
        self.start_failure: Failure | None = None
        """The failure of an actor before its first visible step."""
        self.start_loop = ""
        """The explanation of an actor that loops before its first visible step."""
        self.initial = self._start()

    @property
    def reached(self) -> frozenset[str]:
        """The targets that the search has reached so far."""
        return frozenset(itertools.compress(self.program.targets, self.cover))

    @property
    def covered(self) -> frozenset[SourceLine]:
        """The lines that the search has executed so far, of a program that was compiled for coverage."""
        return frozenset(itertools.compress(self.program.lines, self.cover[len(self.program.targets) :]))

    def _start(self) -> NDArray[np.uint64]:
        """Return the initial state: every actor stands before its first visible step."""
        state = self.program.initial.copy()
        for actor in range(self.program.actors):
            result = self._step(state, actor, 0)
            if result == interpreter.FAILED:
                self.start_failure = self.program.failures[int(self.out[interpreter.OUT_DETAIL])]
                self.start_events.append(sys.maxsize)
                break
            if result == interpreter.ENDLESS:
                self.start_loop = explain.endless_step(self.program, state, actor)
                break
            if result != interpreter.STEPPED:
                raise ModelError(f"actor {explain.actor_name(self.program, actor)} cannot start: {self._why(result)}")
            self.start_events.append(int(self.out[interpreter.OUT_EVENTS]))
        return state

    def _why(self, result: int) -> str:
        """Explain why an actor could not step."""
        if result == interpreter.RANGE:
            return explain.out_of_range(self.program, int(self.out[interpreter.OUT_DETAIL]))
        return "it is blocked"

    def _step(self, state: NDArray[np.uint64], actor: int, outcome: int) -> int:
        return int(interpreter.step(self.program.image, state, self.registers, self.out, self.cover, actor, outcome))

    def take(self, state: NDArray[np.uint64], choice: Choice) -> StepResult:
        """Take one step from `state`, which is not changed."""
        after = state.copy()
        return StepResult(
            result=self._step(after, choice.actor, choice.outcome),
            after=after,
            events=int(self.out[interpreter.OUT_EVENTS]),
            outcomes=int(self.out[interpreter.OUT_CHOICES]),
        )

    def canonical(self, state: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the representative of the states that differ from `state` in dead variables only."""
        found = state.copy()
        clear_dead(self.program.image, found)
        return found

    def enabled(self, state: NDArray[np.uint64]) -> list[Choice]:
        """Return the enabled transitions of `state`."""
        found = []
        for actor in range(self.program.actors):
            if not interpreter.may_run(self.program.image, state, actor):
                continue
            outcome, outcomes = 0, 1
            while outcome < outcomes:
                step = self.take(state, Choice(actor, outcome))
                if step.result == interpreter.BLOCKED:
                    break
                if step.result != interpreter.SYMMETRIC:
                    found.append(Choice(actor, outcome))
                outcome, outcomes = outcome + 1, step.outcomes
        return found

    def run(self, on_progress: Callable[[int, int], None] | None = None, seconds: float | None = None) -> SearchResult:
        """Search until done; `max_states`, `seconds`, memory and Ctrl-C make the result bounded.

        `on_progress` gets the number of states found and of those not yet expanded.
        """
        if self.start_failure is not None:
            failure = self.start_failure
            return SearchResult(verdict=Verdict.VIOLATED, property=failure.kind, failure=failure)
        if self.start_loop:
            return SearchResult(verdict=Verdict.VIOLATED, property="livelock", detail=self.start_loop)
        started = time.perf_counter()
        self.visited = Visited(self.program.words, self.max_states)
        self.visited.begin(self.canonical(self.initial))
        self.control = control = np.zeros(len(Control), dtype=np.int64)
        control[Control.STATES] = control[Control.LAYER_END] = 1
        self.worker = new_worker(self.program.image, self.registers, self.cover, control)
        with WorkerPool(self.program, self.threads, self.registers, len(self.cover)) as pool:
            stop, reason = self._explore(pool, on_progress, seconds)
            count = int(control[Control.STATES])
            result = SearchResult(
                verdict=Verdict.BOUNDED if reason else Verdict.HOLDS,
                states=count,
                transitions=int(control[Control.TRANSITIONS]),
                reason=reason,
                bytes_per_state=self.visited.bytes_per_state(count),
            )
            if not reason:
                self._check_safety(stop, result)
            if result.verdict == Verdict.HOLDS:
                self._check_liveness(result, pool)
        self.cover |= pool.covers.max(axis=0)
        if result.verdict == Verdict.HOLDS:
            self._check_lock_order(result)
        result.seconds = time.perf_counter() - started
        return result

    def _explore(
        self, pool: WorkerPool, on_progress: Callable[[int, int], None] | None, seconds: float | None
    ) -> tuple[StopReason, str]:
        """Explore the state space. Returns why the engine stopped, and why that is a bound; no reason if it is none."""
        started = time.perf_counter()
        visited, control = self.visited, self.control
        stop = StopReason.PAUSED
        try:
            while True:
                control[Control.LIMIT] = visited.limit
                control[Control.PAUSE] = control[Control.NEXT] + PAUSE_STATES
                stop = self._continue(pool)
                if on_progress is not None:
                    count = int(control[Control.STATES])
                    on_progress(count, count - int(control[Control.NEXT]))
                if seconds is not None and time.perf_counter() - started > seconds:
                    return stop, f"the limit of {seconds:g} s"
                if stop == StopReason.FULL and visited.limit < visited.most:
                    visited.grow(int(control[Control.STATES]), pool.each, pool.threads)
                elif stop == StopReason.FULL:
                    return stop, OUT_OF_MEMORY if visited.is_short else f"the limit of {visited.most:,} states"
                elif stop != StopReason.PAUSED:
                    return stop, ""
        except KeyboardInterrupt:
            return stop, "interrupted"
        except MemoryError:
            return stop, OUT_OF_MEMORY

    def _continue(self, pool: WorkerPool) -> StopReason:
        """Continue the search, on all threads where that pays."""
        space, control = self.visited.space, self.control
        if pool.pays(control, self.visited.most):
            return StopReason(pool.explore(space, control))
        if pool.threads > 1:  # return at the end of the layer: rounds may pay in the next one
            control[Control.PAUSE] = min(control[Control.PAUSE], control[Control.LAYER_END])
        return StopReason(explore(space, self.worker))

    def _check_safety(self, stop: StopReason, result: SearchResult) -> None:
        """Record the violation at which the engine stopped, if any. Raises ModelError for a value out of range."""
        if stop == StopReason.DONE:
            return
        control = self.control
        number, actor, detail = (int(control[i]) for i in (Control.STATE, Control.ACTOR, Control.DETAIL))
        if stop == StopReason.OUT_OF_RANGE:
            raise ModelError(explain.out_of_range(self.program, detail))
        state = self.visited.space.states[number]
        result.path = self._path(number)
        if stop == StopReason.DEADLOCK:
            result.violate("deadlock", explain.deadlock(self.program, state))
        elif stop == StopReason.ENDLESS_STEP:
            result.violate("livelock", explain.endless_step(self.program, state, actor))
        else:
            result.failure = self.program.failures[detail]
            result.violate(result.failure.kind)
            if stop == StopReason.VIOLATED:
                result.path.append(Choice(actor, int(control[Control.CHOICE])))

    def _check_liveness(self, result: SearchResult, pool: WorkerPool) -> None:
        """Search for starvation: a strongly fair cycle with an actor that never ends. Without loops there is none."""
        if not self.program.loops.any():
            return
        space = self.visited.space
        try:
            graph, states = graph_of(space, result.states, pool)
            fair = fair_states(graph)
        except KeyboardInterrupt:
            result.verdict, result.reason = Verdict.BOUNDED, "interrupted during the search for livelocks"
            return
        if not len(fair):
            return
        start = int(states[fair[0]])
        loop = loop_of(graph, fair)
        along = [space.states[start]]
        for choice in loop:
            along.append(self.take(along[-1], choice).after)
        result.violate("livelock", explain.starvation(self.program, along))
        result.path = self._path(start)
        result.loop = len(result.path)
        result.path += loop

    def _check_lock_order(self, result: SearchResult) -> None:
        first = len(self.program.targets) + len(self.program.lines)
        cycle = find_cycle(self.program.acquisitions, self.cover[first:])
        if cycle is not None:
            result.violate("lock-order", cycle)

    def _path(self, number: int) -> list[Choice]:
        """Return the steps to a visited state, or to one that it represents, by taking the parents' steps again."""
        space = self.visited.space
        chain = [number]
        while space.parents[chain[-1]] >= 0:
            chain.append(int(space.parents[chain[-1]]))
        path = []
        state = self.initial
        for after in reversed(chain[:-1]):
            steps = ((choice, self.take(state, choice).after) for choice in self.enabled(state))
            choice, state = next(s for s in steps if np.array_equal(self.canonical(s[1]), space.states[after]))
            path.append(choice)
        return path
