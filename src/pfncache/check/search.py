# SPDX-License-Identifier: GPL-2.0-only
"""Searches a program to the end, or to a limit, and says what was found and what was covered."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine import bfs as engine
from pfncache.check.engine import interpreter
from pfncache.check.engine import persistent_sets as reduction
from pfncache.check.engine.parallel_bfs import Crew
from pfncache.check.engine.visited import Visited
from pfncache.check.ir import Event, Failure
from pfncache.check.liveness.fairness import fair_states
from pfncache.check.liveness.graph import graph_of
from pfncache.check.liveness.lasso import loop_of
from pfncache.check.lock_order import find_cycle
from pfncache.check.ops import Op
from pfncache.check.path import Choice
from pfncache.check.program.image import ACCESS_SHIFT, ACCESS_WORD, CODE, INSTR, INSTR_OP, REGISTERS
from pfncache.check.program.layout import Program
from pfncache.check.verdict import Verdict

DEFAULT_MAX_STATES = 50_000_000
PAUSE = 200_000
"""States expanded between two looks at the clock and at Ctrl-C."""


@dataclass
class Result:
    """The outcome of a search."""

    verdict: Verdict
    property: str | None
    states: int
    transitions: int
    seconds: float
    path: list[Choice]
    failure: Failure | None = None
    loop: int | None = None
    """Of a livelock: which step of the path begins the loop that is its rest."""
    detail: str = ""
    reason: str = ""
    """Why the search is bounded."""
    bytes_per_state: float = 0.0


class ModelError(Exception):
    """The model left the bounds of its own types: a defect of the model, not of the design."""


MORE = 20
"""How many times more states a shortest way is worth than it took to find any."""
FEW = 1_000_000
"""States that it is worth in any case."""


def search_shortest(program: Program, max_states: int, threads: int = 1) -> tuple[Search, Result]:
    """Search; and when something is found, search again for the fewest steps that lead there.

    The search of a part of the actors finds a violation whenever there is one, but steps that have nothing to do with
    it may stand before it. The second search, of all actors, is not done where it would be out of all proportion.
    """
    searching = Search(program, max_states, threads)
    result = searching.run()
    if result.verdict == Verdict.VIOLATED and result.path and program.has_masks:
        limit = min(max_states, max(FEW, MORE * result.states))
        again = Search(program.without_masks(), limit, threads)
        shortest = again.run()
        if shortest.verdict == Verdict.VIOLATED:
            return again, shortest
    return searching, result


class Search:
    """The visited set of one program."""

    def __init__(self, program: Program, max_states: int = DEFAULT_MAX_STATES, threads: int = 1) -> None:
        self.program = program
        self.max_states = max_states
        self.threads = threads
        image = program.image
        self.registers = np.zeros(int(image[REGISTERS]) + 1, dtype=np.int64)
        interpreter.prepare(image, self.registers)
        self.out = np.zeros(interpreter.OUT_SIZE, dtype=np.int64)
        self.cover = np.zeros(max(1, len(program.acquisitions)), dtype=np.uint8)
        self.start_events: list[int] = []
        self.start_failure: Failure | None = None
        """Of an actor that fails before any step that others can see."""
        self.start_loop = ""
        """Of an actor that never gets there, in words."""
        self.initial = self._start()

    def _start(self) -> NDArray[np.uint64]:
        """The initial state: every actor stands before its first step that others can see."""
        state = self.program.initial.copy()
        for actor in range(self.program.actors):
            result = self._step(state, actor, 0)
            if result == interpreter.FAILED:
                self.start_failure = self.program.failures[int(self.out[interpreter.OUT_DETAIL])]
                self.start_events.append(sys.maxsize)
                break
            if result == interpreter.ENDLESS:
                self.start_loop = f"{self._name(actor)} runs for ever from its start, and touches nothing"
                break
            if result != interpreter.STEPPED:
                raise ModelError(f"actor {self._name(actor)} cannot start: {self._describe(result)}")
            self.start_events.append(int(self.out[interpreter.OUT_EVENTS]))
        return state

    def _name(self, actor: int) -> str:
        return self.program.compiled.system.actors[actor].name

    def _step(self, state: NDArray[np.uint64], actor: int, outcome: int) -> int:
        return int(interpreter.step(self.program.image, state, self.registers, self.out, self.cover, actor, outcome))

    def take(self, state: NDArray[np.uint64], choice: Choice) -> tuple[int, NDArray[np.uint64], int, int]:
        """Take one step from `state`.

        Returns what became of it, the new state, how many events it passed, and how many outcomes there are.
        """
        after = state.copy()
        result = self._step(after, choice.actor, choice.outcome)
        return result, after, int(self.out[interpreter.OUT_EVENTS]), int(self.out[interpreter.OUT_CHOICES])

    def canonical(self, state: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The one among the states of equal future that is kept."""
        found = state.copy()
        reduction.clear_dead(self.program.image, found)
        return found

    def enabled(self, state: NDArray[np.uint64]) -> list[Choice]:
        """Every step that can be taken from `state`."""
        found = []
        for actor in range(self.program.actors):
            if not interpreter.may_run(self.program.image, state, actor):
                continue
            outcome, outcomes = 0, 1
            while outcome < outcomes:
                result, _, _, outcomes = self.take(state, Choice(actor, outcome))
                if result == interpreter.BLOCKED:
                    break
                if result != interpreter.SYMMETRIC:
                    found.append(Choice(actor, outcome))
                outcome += 1
        return found

    def run(self, on_progress: Callable[[int, int], None] | None = None, seconds: float | None = None) -> Result:
        """Search until done; Ctrl-C ends it as bounded.

        `on_progress` gets the states found and those still to expand.
        """
        if self.start_failure is not None:
            return Result(Verdict.VIOLATED, self.start_failure.kind, 1, 0, 0.0, [], self.start_failure)
        if self.start_loop:
            return Result(Verdict.VIOLATED, "livelock", 1, 0, 0.0, [], detail=self.start_loop)
        started = time.perf_counter()
        self.visited = visited = Visited(self.program.words, self.max_states)
        visited.begin(self.canonical(self.initial))
        self.ctl = ctl = np.zeros(engine.CTL_SIZE, dtype=np.int64)
        ctl[engine.CTL_STATES] = ctl[engine.CTL_LEVEL] = 1
        reason = ""
        with Crew(self.program, self.threads, self.registers, len(self.cover)) as crew:
            while True:
                ctl[engine.CTL_LIMIT] = visited.limit
                ctl[engine.CTL_PAUSE] = ctl[engine.CTL_NEXT] + PAUSE
                try:
                    verdict = self._explore(crew)
                    count = int(ctl[engine.CTL_STATES])
                    if on_progress is not None:
                        on_progress(count, count - int(ctl[engine.CTL_NEXT]))
                    if seconds is not None and time.perf_counter() - started > seconds:
                        reason = f"the limit of {seconds:g} s"
                    elif verdict == engine.FULL and visited.limit < visited.most:
                        visited.grow(count, crew.each, crew.threads)
                        continue
                    elif verdict == engine.FULL:
                        reason = (
                            "the memory that there is" if visited.is_short else f"the limit of {visited.most:,} states"
                        )
                    elif verdict == engine.PAUSED:
                        continue
                except KeyboardInterrupt:
                    reason = "an interrupt"
                except MemoryError:
                    reason = "the memory that there is"
                break
            count = int(ctl[engine.CTL_STATES])
            result = Result(Verdict.HOLDS, None, count, int(ctl[engine.CTL_TRANSITIONS]), 0.0, [])
            result.bytes_per_state = visited.bytes_per_state(count)
            if reason:
                result.verdict, result.reason = Verdict.BOUNDED, reason
            else:
                self._judge(verdict, result)
            if result.verdict == Verdict.HOLDS:
                self._judge_liveness(result, crew)
        self.cover |= crew.covers.max(axis=0)
        if result.verdict == Verdict.HOLDS:
            self._judge_lock_order(result)
        result.seconds = time.perf_counter() - started
        return result

    def _explore(self, crew: Crew) -> int:
        """Go on, with all threads where that pays."""
        visited, ctl = self.visited, self.ctl
        arrays = (visited.states, visited.parents, visited.onward, visited.table, visited.mask)
        if crew.is_for(ctl, visited.most):
            return crew.explore(*arrays, ctl)
        if crew.threads > 1:  # they may take the next level
            ctl[engine.CTL_PAUSE] = min(ctl[engine.CTL_PAUSE], ctl[engine.CTL_LEVEL])
        return int(engine.explore(self.program.image, *arrays, self.registers, self.out, self.cover, ctl))

    def _judge(self, verdict: int, result: Result) -> None:
        ctl = self.ctl
        if verdict == engine.DONE:
            return
        result.verdict = Verdict.VIOLATED
        result.path = self._path(int(ctl[engine.CTL_STATE]))
        if verdict == engine.BAD_RANGE:
            raise ModelError(self._describe(interpreter.RANGE))
        if verdict == engine.DEADLOCK:
            result.property = "deadlock"
            result.detail = self._waiting(self.visited.states[int(ctl[engine.CTL_STATE])])
            return
        if verdict == engine.LOOPING:
            result.property = "livelock"
            result.detail = self._looping(self.visited.states[int(ctl[engine.CTL_STATE])], int(ctl[engine.CTL_ACTOR]))
            return
        result.failure = self.program.failures[int(ctl[engine.CTL_DETAIL])]
        result.property = result.failure.kind
        if verdict == engine.VIOLATED:
            result.path.append(Choice(int(ctl[engine.CTL_ACTOR]), int(ctl[engine.CTL_CHOICE])))

    def _judge_liveness(self, result: Result, crew: Crew) -> None:
        """No fair scheduler may keep an actor from its end. Only loops can do that without a deadlock."""
        if not self.program.loops.any():
            return
        try:
            graph, states = graph_of(self.visited, result.states, crew)
            fair = fair_states(graph)
        except KeyboardInterrupt:
            result.verdict, result.reason = Verdict.BOUNDED, "an interrupt, before it was known that everything ends"
            return
        if not len(fair):
            return
        start = int(states[fair[0]])
        result.verdict, result.property = Verdict.VIOLATED, "livelock"
        loop = loop_of(graph, fair)
        result.detail = self._staying(self.visited.states[start], loop)
        result.path = self._path(start)
        result.loop = len(result.path)
        result.path += loop

    def _judge_lock_order(self, result: Result) -> None:
        cycle = find_cycle(self.program.acquisitions, self.cover)
        if cycle is not None:
            result.verdict, result.property, result.detail = Verdict.VIOLATED, "lock-order", cycle

    def _path(self, number: int) -> list[Choice]:
        """The steps that lead to a visited state, or to one that it stands for, by taking each parent's steps again."""
        chain = [number]
        while self.visited.parents[chain[-1]] >= 0:
            chain.append(int(self.visited.parents[chain[-1]]))
        path = []
        state = self.initial
        for after in reversed(chain[:-1]):
            steps = ((choice, self.take(state, choice)[1]) for choice in self.enabled(state))
            choice, state = next(s for s in steps if np.array_equal(self.canonical(s[1]), self.visited.states[after]))
            path.append(choice)
        return path

    def event(self, state: NDArray[np.uint64], actor: int) -> Event | None:
        """Where an actor stands in `state`; None when it has ended."""
        return self.program.events[actor][self.program.counter(state, actor)]

    def _waiting(self, state: NDArray[np.uint64]) -> str:
        parts = []
        for number, actor in enumerate(self.program.compiled.system.actors):
            event = self.event(state, number)
            if event is not None:
                place = event.stack[-1]
                parts.append(f"{actor.name} in {place.function}()")
        return "no way to end for " + ", ".join(parts)

    def _staying(self, state: NDArray[np.uint64], loop: list[Choice]) -> str:
        along = [state]
        for choice in loop:
            along.append(self.take(along[-1], choice)[1])
        parts = []
        for number, actor in enumerate(self.program.compiled.system.actors):
            stacks = [event.stack for event in (self.event(at, number) for at in along) if event is not None]
            if stacks and not actor.endless:
                callers = zip(*([place.function for place in stack] for stack in stacks), strict=False)
                *_, (innermost, *_) = itertools.takewhile(lambda names: len(set(names)) == 1, callers)
                parts.append(f"{actor.name} in {innermost}()")
        return f"a fair scheduler may leave {', '.join(parts)} for ever"

    def _looping(self, state: NDArray[np.uint64], actor: int) -> str:
        event = self.event(state, actor)
        place = f"from {event.stack[-1].function}() on" if event is not None else "from its start"
        return f"{self._name(actor)} runs for ever {place}, and touches nothing that others change"

    def _describe(self, result: int) -> str:
        if result == interpreter.RANGE:
            return f"a value left the room that its type has: {self._range_place()}"
        if result == interpreter.FAILED:
            failure = self.program.failures[int(self.out[interpreter.OUT_DETAIL])]
            return f"{failure.kind} at {failure.stack[-1]}"
        return {interpreter.BLOCKED: "blocked", interpreter.ENDLESS: "a step that does not end"}[result]

    def _range_place(self) -> str:
        image: Any = self.program.image
        index = (int(self.out[interpreter.OUT_DETAIL]) - int(image[CODE])) // INSTR
        for slot_of, slot in self.program.slots.items():
            row = image[image[CODE] + index * INSTR :]
            stored = row[ACCESS_WORD], row[ACCESS_SHIFT]
            if row[INSTR_OP] == Op.STORE and stored == (slot.word, slot.shift):
                return str(slot_of)
        return "a local variable or an array"
