# SPDX-License-Identifier: GPL-2.0-only
"""Exhaustive search of a program, to the end or to a limit, and what it found."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfncache.check import explain
from pfncache.check.engine import interpreter
from pfncache.check.engine.bfs import Control, SearchWorker, StopReason, batch_size, explore
from pfncache.check.engine.native.steps import NativeSteps
from pfncache.check.engine.parallel_bfs import WorkerPool
from pfncache.check.engine.persistent_sets import clear_dead
from pfncache.check.engine.violations import MAX_VIOLATIONS, Count, Met, Row, Taken, halt, new_violations
from pfncache.check.engine.visited import Visited
from pfncache.check.ir import SourceLine
from pfncache.check.liveness.fairness import fair_states
from pfncache.check.liveness.graph import graph_of
from pfncache.check.liveness.lasso import loop_of
from pfncache.check.lock_order import find_cycles
from pfncache.check.path import Choice
from pfncache.check.program.image import REGISTERS
from pfncache.check.program.layout import Program
from pfncache.check.result import Found, SearchResult, ordered
from pfncache.check.verdict import Verdict

DEFAULT_MAX_STATES = 50_000_000
PAUSE_STATES = 200_000
"""States expanded between two checks of the time limit and of Ctrl-C."""
OUT_OF_MEMORY = "out of memory"
EARLY = "stopped at the first violation"
"""The reason of a search that was to end early."""
CUT = (interpreter.FAILED, interpreter.ENDLESS, interpreter.LONG, interpreter.RANGE)
"""Results of a step that leads nowhere."""


class StepResult(NamedTuple):
    """The result of one step."""

    result: int
    """STEPPED or another result of interpreter.step(); `after` is a state only if it is STEPPED or HALTED."""
    after: NDArray[np.uint64]
    events: int
    """Preemption points that the step passed."""
    outcomes: int
    """Outcomes of its nondeterministic choice."""


class ModelError(Exception):
    """An actor of the model has nowhere to stand."""


class Search:
    """A search of one program."""

    def __init__(self, program: Program, max_states: int = DEFAULT_MAX_STATES, threads: int = 1) -> None:
        self.program = program
        self.max_states = max_states
        self.threads = threads
        image = program.image
        self.native = NativeSteps(image)
        """Native code, when there are states enough; it is kept as long as the search."""
        self.registers = np.zeros(int(image[REGISTERS]) + 1, dtype=np.int64)
        interpreter.prepare(image, self.registers)
        self.out = interpreter.new_out(image)
        marks = len(program.targets) + len(program.lines) + len(program.acquisitions)
        self.cover = np.zeros(max(1, marks), dtype=np.uint8)
        self.start_events: list[int] = []
        """By actor: preemption points before the first place at which it stands; more than any if it violates first."""
        self.start_found: list[Found] = []
        """Violations before an actor's first preemption point."""
        self.start_limit = ""
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
        """Return the initial state: every actor stands before its first visible step, or is halted."""
        state = self.program.initial.copy()
        for actor in range(self.program.actors):
            after = state.copy()
            result = self._step(after, actor, 0)
            if result == interpreter.STEPPED:
                state = after
                self.start_events.append(int(self.out[interpreter.OUT_EVENTS]))
                continue
            self.start_events.append(sys.maxsize)
            if result == interpreter.FAILED:
                failure = self.program.failures[int(self.out[interpreter.OUT_DETAIL])]
                place = explain.actor_name(self.program, actor), failure
                found = Found(property=failure.kind, path=(), failure=failure, start=actor, place=place)
                self.start_found.append(found)
            elif result == interpreter.ENDLESS:
                reason = explain.endless_step(self.program, actor, int(self.out[interpreter.OUT_POINT]))
                self.start_found.append(Found(property="livelock", path=(), start=actor, detail=reason, place=reason))
            elif result == interpreter.LONG:
                self.start_limit = explain.long_step(self.program, int(self.out[interpreter.OUT_POINT]))
            elif result == interpreter.RANGE:
                self.start_limit = explain.out_of_range(self.program, int(self.out[interpreter.OUT_DETAIL]))
            else:
                raise ModelError(f"actor {explain.actor_name(self.program, actor)} is blocked before its first step")
        return state

    def _step(self, state: NDArray[np.uint64], actor: int, outcome: int) -> int:
        return int(interpreter.step(self.program.image, state, self.registers, self.out, self.cover, actor, outcome))

    def take(self, state: NDArray[np.uint64], choice: Choice) -> StepResult:
        """Take one step from `state`, which is not changed."""
        after = state.copy()
        taken = Taken(0, choice.actor, choice.outcome, self._step(after, choice.actor, choice.outcome))
        result, events = taken.result, int(self.out[interpreter.OUT_EVENTS])
        if choice.halts:
            after = state.copy()
            halt(self.program.image, after, self.registers, self.out, self.cover, taken)
            result, events = interpreter.HALTED, events - 1
        outcomes = int(self.out[interpreter.OUT_CHOICES])
        return StepResult(result=result, after=after, events=events, outcomes=outcomes)

    def canonical(self, state: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the representative of the states that differ from `state` in dead variables only."""
        found = state.copy()
        clear_dead(self.program.image, found)
        return found

    def enabled(self, state: NDArray[np.uint64]) -> list[Choice]:
        """Return the enabled transitions of `state`, those that violate a property too."""
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
                if step.result in CUT and step.events > 1:
                    found.append(Choice(actor, outcome, halts=True))
                outcome, outcomes = outcome + 1, step.outcomes
        return found

    def run(
        self, on_progress: Callable[[int, int], None] | None = None, seconds: float | None = None, wanted: int = 0
    ) -> SearchResult:
        """Search until done; `max_states`, `seconds`, memory and Ctrl-C make the result bounded.

        `on_progress` gets the number of states found and of those not yet expanded. The search ends early when it has
        met the `wanted` number of kinds of violations, if there is one.
        """
        started = time.perf_counter()
        self.visited = Visited(self.program.words, self.max_states, batch_size(self.program.image))
        self.visited.begin(self.canonical(self.initial))
        self.control = control = np.zeros(len(Control), dtype=np.int64)
        control[Control.STATES] = control[Control.LAYER_END] = 1
        self.violations = new_violations(self._functions(), self.program.words, max(0, wanted - len(self.start_found)))
        if wanted and len(self.start_found) >= wanted:
            return SearchResult(verdict=Verdict.VIOLATED, found=tuple(self.start_found[:wanted]), reason=EARLY)
        self.worker = SearchWorker(
            image=self.program.image, registers=self.registers.copy(), out=interpreter.new_out(self.program.image),
            state=self.initial.copy(), after=self.initial.copy(), places=self.program.start_counters.copy(),
            cover=self.cover, control=control, violations=self.violations, native=self.native.addresses,
        )  # fmt: skip
        with WorkerPool(self.program, self.threads, self.worker) as pool:
            stop, reason = self._explore(pool, on_progress, seconds)
            found, limits = self._met()
            complete = not reason
            if complete and stop != StopReason.ENOUGH:
                try:
                    found += self._check_liveness(pool)
                except KeyboardInterrupt:
                    reason = "interrupted during the search for livelocks"
        self.cover |= pool.cover
        if not (wanted and found):
            found += self._check_lock_order()
        early = EARLY if stop == StopReason.ENOUGH else ""
        reasons = [why for why in (reason, *limits, early) if why]
        count = int(control[Control.STATES])
        return SearchResult(
            verdict=Verdict.VIOLATED if found else Verdict.BOUNDED if reasons else Verdict.HOLDS,
            found=ordered(found),
            states=count,
            transitions=int(control[Control.TRANSITIONS]),
            reason="; ".join(reasons),
            bytes_per_state=self.visited.bytes_per_state(count),
            seconds=time.perf_counter() - started,
        )

    def _functions(self) -> NDArray[np.int32]:
        """Return the number of the function in which an actor stands, by actor and program counter; 0 for none."""
        numbers: dict[str | None, int] = {None: 0}
        found = np.zeros(self.program.loops.shape, dtype=np.int32)
        for actor, events in enumerate(self.program.events):
            for counter, event in enumerate(events):
                name = event.stack[-1].function if event is not None else None
                found[actor, counter] = numbers.setdefault(name, len(numbers))
        return found

    def _explore(
        self, pool: WorkerPool, on_progress: Callable[[int, int], None] | None, seconds: float | None
    ) -> tuple[StopReason, str]:
        """Explore the state space. Returns why the engine stopped, and why that is a bound; no reason if it is none."""
        started = time.perf_counter()
        visited, control = self.visited, self.control
        stop = StopReason.PAUSED
        try:
            while True:
                self.native.advance(int(control[Control.STATES]))
                control[Control.LIMIT] = visited.limit
                control[Control.PAUSE] = control[Control.NEXT] + PAUSE_STATES
                stop = self._continue(pool)
                if on_progress is not None:
                    count = int(control[Control.STATES])
                    on_progress(count, count - int(control[Control.NEXT]))
                if seconds is not None and time.perf_counter() - started > seconds:
                    return stop, f"the limit of {seconds:g} s"
                if stop == StopReason.FULL and visited.can_grow:
                    visited.grow(int(control[Control.STATES]), pool.each, pool.threads)
                elif stop == StopReason.FULL:
                    return stop, OUT_OF_MEMORY if visited.is_short else f"the limit of {visited.most:,} states"
                elif stop != StopReason.PAUSED:
                    return stop, ""
        except KeyboardInterrupt:
            return stop, "interrupted"
        except MemoryError:
            return stop, OUT_OF_MEMORY
        finally:
            self.native.stop()

    def _continue(self, pool: WorkerPool) -> StopReason:
        """Continue the search, on all threads where that pays."""
        control = self.control
        if pool.pays(control, self.visited.most):
            return StopReason(pool.explore(self.visited, control))
        if pool.threads > 1:  # return at the end of the layer: rounds may pay in the next one
            control[Control.PAUSE] = min(control[Control.PAUSE], control[Control.LAYER_END])
        return StopReason(explore(self.visited.space, self.worker))

    def _met(self) -> tuple[list[Found], list[str]]:
        """Return the violations that were met, and the limits that were."""
        counts = self.violations.counts
        limits = [self.start_limit] if self.start_limit else []
        if counts[Count.DROPPED]:
            limits.append(f"the limit of {MAX_VIOLATIONS} kinds of violations")
        found = list(self.start_found)
        for row in self.violations.rows[: counts[Count.ROWS]].tolist():
            met = Met(row[Row.MET])
            if met == Met.LONG_STEP:
                limits.append(explain.long_step(self.program, row[Row.POINT]))
            elif met == Met.OUT_OF_RANGE:
                limits.append(explain.out_of_range(self.program, row[Row.DETAIL]))
            else:
                found.append(self._found(met, row))
        return found, list(dict.fromkeys(limits))

    def _found(self, met: Met, row: list[int]) -> Found:
        """Return the violation of a row of the table."""
        program, path = self.program, self._path(row[Row.STATE])
        state = self.visited.state(row[Row.STATE])
        if met == Met.DEADLOCK:
            reason = explain.deadlock(program, state)
            return Found(property="deadlock", path=tuple(path), detail=reason, place=reason)
        if met == Met.ENDLESS_STEP:
            reason = explain.endless_step(program, row[Row.ACTOR], row[Row.POINT])
            return Found(property="livelock", path=tuple(path), detail=reason, place=reason)
        failure = program.failures[row[Row.DETAIL]]
        if met == Met.END_FAILURE:
            return Found(property=failure.kind, path=tuple(path), failure=failure, place=failure)
        path.append(Choice(row[Row.ACTOR], row[Row.CHOICE]))
        point = program.points[row[Row.POINT]].stack
        place = explain.actor_name(program, row[Row.ACTOR]), point, failure
        return Found(property=failure.kind, path=tuple(path), failure=failure, point=point, place=place)

    def _check_liveness(self, pool: WorkerPool) -> list[Found]:
        """Search for starvation: a strongly fair cycle with an actor that never ends. Without loops there is none."""
        if not self.program.loops.any():
            return []
        graph, states = graph_of(self.visited.space, int(self.control[Control.STATES]), pool)
        fair = fair_states(graph)
        if not len(fair):
            return []
        start = int(states[fair[0]])
        loop = loop_of(graph, fair)
        along = [self.visited.state(start)]
        for choice in loop:
            along.append(self.take(along[-1], choice).after)
        path = self._path(start)
        reason = explain.starvation(self.program, along)
        return [
            Found(
                property="livelock", path=(*path, *loop), loop=len(path), detail=reason, place="a strongly fair cycle"
            )
        ]

    def _check_lock_order(self) -> list[Found]:
        first = len(self.program.targets) + len(self.program.lines)
        cycles = find_cycles(self.program.acquisitions, self.cover[first:])
        return [Found(property="lock-order", is_shown=False, detail=cycle, place=cycle) for cycle in cycles]

    def path_to(self, places: Sequence[Collection[int]]) -> tuple[Choice, ...] | None:
        """Return the steps to the first visited state in which some actor stands at one of its places, and its step.

        `places` has program counters, by actor. None if no such state was visited.
        """
        for first, states in self.visited.spans(int(self.control[Control.STATES])):
            found: list[tuple[int, int]] = []
            for actor, counters in enumerate(places):
                slot = self.program.actor_slots[actor]
                mask = np.uint64((1 << slot.bits) - 1)
                standing = (states[:, slot.word] >> np.uint64(slot.shift)) & mask
                there = np.flatnonzero(np.isin(standing, np.array(sorted(counters), dtype=np.uint64)))
                if len(there):
                    found.append((first + int(there[0]), actor))
            if found:
                number, actor = min(found)
                return (*self._path(number), Choice(actor))
        return None

    def _path(self, number: int) -> list[Choice]:
        """Return the steps to a visited state, or to one that it represents, by taking the parents' steps again."""
        parents = self.visited.space.parents
        chain = [number]
        while parents[chain[-1]] >= 0:
            chain.append(int(parents[chain[-1]]))
        path: list[Choice] = []
        state = self.initial
        for after in reversed(chain[:-1]):
            steps = ((choice, self.take(state, choice).after) for choice in self.enabled(state))
            wanted = self.visited.state(after)
            choice, state = next(s for s in steps if np.array_equal(self.canonical(s[1]), wanted))
            path.append(choice)
        return path
