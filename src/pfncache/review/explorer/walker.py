# SPDX-License-Identifier: GPL-2.0-only
"""Walks through a scenario: the steps that are possible after any interleaving, and the search for one."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from typing import Any

from pfncache.check import explain
from pfncache.check.compile.source import Location
from pfncache.check.engine import interpreter
from pfncache.check.path import Choice
from pfncache.check.replay import Divergence
from pfncache.check.search import Search
from pfncache.designs.design import Design
from pfncache.properties import PROPERTIES
from pfncache.review.explorer.finding import ExplorerFinding
from pfncache.review.explorer.recorder import path_of, record, searchable
from pfncache.scenarios.scenario import Scenario
from pfncache.verify.nearest import UnknownName
from pfncache.verify.program_cache import program_of
from pfncache.verify.runner import trace_of
from pfncache.verify.systems import make_system
from pfncache.verify.trace import Schedule, kernel_path
from pfncache.verify.trace_builder import place_of

MAX_STEPS = 5_000
"""Preemption points of a walk."""
FIND_SECONDS = 30.0
FIND_STATES = 2_000_000
"""Limits of the search for a run."""
NAMED_LINES = 12
"""Lines that are named where none is at the one that was asked for."""
NO_VIOLATION = "nothing is violated so far"
_LINE = re.compile(r"(.+):(\d+)")


class WalkError(Exception):
    """What is asked for is no interleaving, no property, or no line. The message is one line."""


@dataclass(frozen=True, kw_only=True)
class PossibleStep:
    """A step that can be taken next."""

    cpu: int
    outcome: int
    """Of its nondeterministic choice."""
    function: str
    text: str
    note: str
    """Where it is, and which outcome of several it has."""


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """The answer to a search: a finding with its schedule, or none, and what was searched, in words."""

    note: str
    finding: ExplorerFinding | None = None
    schedule: Schedule | None = None


class Walker:
    """Walks through one scenario of one design. Not for several threads at a time."""

    def __init__(self, design: Design, scenario: Scenario) -> None:
        self.design = design
        self.scenario = scenario
        self.search = searchable(design, scenario)
        """Without reductions: a step has one preemption point."""

    def possible(self, schedule: Schedule) -> tuple[list[PossibleStep], str]:
        """Return the steps that are possible after an interleaving; if there is none, why. Raises WalkError."""
        state, result = self._state(schedule)
        if result == interpreter.FAILED:
            return [], "The run ends here: its last step violates a property."
        steps = [self._step(state, choice) for choice in self.search.enabled(state)]
        if steps:
            return steps, ""
        program = self.search.program
        if all(program.counter(state, actor) == 0 for actor in range(program.actors)):
            return [], "Every CPU is done."
        return [], f"Deadlock: {explain.deadlock(program, state)}."

    def _state(self, schedule: Schedule) -> tuple[Any, int]:
        """Return the state after an interleaving, and the result of its last step."""
        if len(schedule.steps) > MAX_STEPS:
            raise WalkError(f"a walk has at most {MAX_STEPS:,} preemption points, not {len(schedule.steps):,}")
        strange = next((actor for actor, _ in schedule.steps if actor >= self.search.program.actors), None)
        if strange is not None:
            raise WalkError(f"there is no CPU{strange}; the last is CPU{self.search.program.actors - 1}")
        state, result = self.search.initial, interpreter.STEPPED
        for number, choice in enumerate(path_of(self.search, schedule), 1):
            if result == interpreter.FAILED or choice not in self.search.enabled(state):
                raise WalkError(f"step {number} is not possible: CPU{choice.actor} cannot go on there")
            result, state, *_ = self.search.take(state, choice)
        return state, result

    def _step(self, state: Any, choice: Choice) -> PossibleStep:
        event = explain.event_of(self.search.program, state, choice.actor)
        place = place_of(event.stack) if event is not None else Location("", 0, "start")
        outcomes = self.search.take(state, replace(choice, outcome=0)).outcomes
        which = f", outcome {choice.outcome + 1} of {outcomes}" if outcomes > 1 else ""
        return PossibleStep(
            cpu=choice.actor,
            outcome=choice.outcome,
            function=place.function,
            text=place.text,
            note=f"{kernel_path(place.file)}:{place.line}{which}",
        )

    def run(self, schedule: Schedule, property_name: str = "") -> ExplorerFinding:
        """Record an interleaving; the property is one that no single step violates. Raises WalkError."""
        self._state(schedule)
        try:
            recorded = record(self.search, schedule, property_name)
        except Divergence as error:
            raise WalkError(str(error)) from None
        ending = recorded.ending
        return ExplorerFinding(
            design=self.design.name,
            scenario=self.scenario.name,
            property=ending.kind if ending is not None else "a run",
            verdict="violated" if ending is not None else "",
            message=ending.detail if ending is not None else NO_VIOLATION,
            recording=recorded.recording,
        )

    def run_on(self, schedule: Schedule, cpu: int) -> Schedule:
        """Return the schedule in which a CPU goes on until it waits, is done, or has to choose. Raises WalkError."""
        state, result = self._state(schedule)
        steps = list(schedule.steps)
        while result != interpreter.FAILED and len(steps) < MAX_STEPS:
            mine = [choice for choice in self.search.enabled(state) if choice.actor == cpu]
            if len(mine) != 1:
                break
            steps.append((cpu, mine[0].outcome))
            result, state, *_ = self.search.take(state, mine[0])
        return replace(schedule, steps=tuple(steps))

    def find(self, what: str) -> FoundRun:
        """Search for a run that violates a property, or reaches a line, FILE:LINE. Raises WalkError."""
        line = _LINE.fullmatch(what)
        if line is not None:
            return self._reaching(line[1], int(line[2]), what)
        if what not in PROPERTIES:
            raise WalkError(f"{UnknownName('property', what, PROPERTIES)}; a line is FILE:LINE, as pfncache.py:85")
        return self.violating(what)

    def violating(self, name: str = "") -> FoundRun:
        """Search for a shortest run that violates a property of a name, or any."""
        search = Search(program_of(make_system(self.design, self.scenario)).without_masks(), FIND_STATES)
        result = search.run(seconds=FIND_SECONDS)
        what = f"violates {name}" if name else "violates a property"
        for found in result.found:
            if found.is_shown and name in ("", found.property) and (found.path or found.failure is not None):
                try:
                    trace = trace_of(search, found)
                except Divergence:
                    continue  # it needs a sequence number to wrap
                assert trace.schedule is not None
                finding = self.run(trace.schedule, found.property)
                if finding.message == NO_VIOLATION:  # no step violates it: a deadlock, or a livelock
                    finding = replace(finding, property=found.property, verdict="violated", message=trace.reason)
                return FoundRun(note=f"a shortest run that {what}", finding=finding, schedule=trace.schedule)
        return FoundRun(note=_none(what, result.states, result.reason))

    def _reaching(self, file: str, line: int, what: str) -> FoundRun:
        """Search for a shortest run to a step at a line."""
        program = self.search.program
        lines: set[int] = set()
        places: list[set[int]] = []
        for events in program.events:
            stacks = ((number, event.stack) for number, event in enumerate(events) if event is not None)
            ours = [(n, c) for n, stack in stacks for c in stack if _is_file(kernel_path(c.file), file)]
            lines |= {call.line for _, call in ours}
            places.append({number for number, call in ours if call.line == line})
        if not lines:
            raise WalkError(
                f"no step of {self.scenario.name} is in a file {file!r}; a line is FILE:LINE, as pfncache.py:85"
            )
        if line not in lines:
            near = sorted(sorted(lines, key=lambda one: abs(one - line))[:NAMED_LINES])
            raise WalkError(f"no step is at {what}; the nearest lines with one: {', '.join(map(str, near))}")
        search = Search(program, FIND_STATES)
        result = search.run(seconds=FIND_SECONDS)
        path = search.path_to(places)
        if path is None:
            return FoundRun(note=_none(f"reaches {what}", result.states, result.reason))
        schedule = self._schedule(path)
        return FoundRun(note=f"a shortest run that reaches {what}", finding=self.run(schedule), schedule=schedule)

    def _schedule(self, path: tuple[Choice, ...]) -> Schedule:
        """Return the schedule of a path; the last step is left out where it is not possible."""
        state = self.search.initial
        for choice in path[:-1]:
            state = self.search.take(state, choice).after
        possible = [choice for choice in self.search.enabled(state) if choice.actor == path[-1].actor]
        steps = (*path[:-1], *possible[:1])
        passed = (0 if events == sys.maxsize else events for events in self.search.start_events)
        first = [(actor, 0) for actor, events in enumerate(passed) for _ in range(events)]
        return Schedule(steps=(*first, *((choice.actor, choice.outcome) for choice in steps)))


def _is_file(known: str, given: str) -> bool:
    return known == given or known.endswith(f"/{given}")


def _none(what: str, states: int, limit: str) -> str:
    """Return that there is no run, and how far that is known."""
    if limit:
        return f"no run that {what} within {limit} ({states:,} states)"
    return f"no run {what}: every interleaving was searched, {states:,} states"
