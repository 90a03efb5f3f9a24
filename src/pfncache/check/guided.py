# SPDX-License-Identifier: GPL-2.0-only
"""Guided search: random walks with few preemptions, every other one towards a conflict that no walk has had yet.

Such a walk holds an actor that has come to its step of the conflict until the other one stands at the other step, and
lets the two take them one after the other. A guided search finds violations where a state space is too large to be
searched to its end. It proves nothing: what it says is how many walks there were, and how many conflicts they have had.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pfncache.check import explain
from pfncache.check.conflicts import Place, conflicts
from pfncache.check.engine import interpreter
from pfncache.check.engine.interpreter import NO_ACTOR, OUT_CHOICES, OUT_DETAIL, OUT_POINT
from pfncache.check.path import Choice
from pfncache.check.program.image import AT_END, COUNTER_END
from pfncache.check.program.layout import Program
from pfncache.check.result import Found, ordered
from pfncache.check.search import Search

State = NDArray[np.uint64]

MOST_PREEMPTIONS = 4
"""Preemptions of a walk towards no conflict, at most; such walks have none, one, two and so on in turn."""
MOST_TURNS = 3
"""An actor that comes so often to one place waits for another one in a loop: that goes on."""
MAX_STEPS = 5_000
"""Steps of a walk; more take actors that loop forever."""


@dataclass(frozen=True, kw_only=True)
class GuidedResult:
    """What a guided search has done."""

    found: tuple[Found, ...]
    """The violations, of each kind the one with the shortest path that was met."""
    walks: int
    steps: int
    preemptions: int
    """Those of the walk that had the most."""
    conflicts: int
    of_conflicts: int
    """Pairs of conflicting steps that were taken one after the other, and of those that there are."""
    seconds: float

    def __str__(self) -> str:
        walks = f"{self.walks:,} random walks with at most {self.preemptions} preemptions, {self.steps:,} steps"
        pairs = f"{self.conflicts:,} of {self.of_conflicts:,} pairs of conflicting steps"
        return f"{self.seconds:.0f} s of guided search: {walks}, {pairs}"


@dataclass
class _Walk:
    """A walk as far as it has come."""

    state: State
    towards: tuple[Place, ...]
    """The two steps of the conflict that the walk is to have; empty if there is none, or no more."""
    chance: float
    """Of a preemption that leads nowhere in particular."""
    left: int
    """How many of those may be had."""
    path: list[Choice] = field(default_factory=list)
    last: Place | None = None
    """The step that was taken last."""
    preemptions: int = 0
    visits: Counter[Place] = field(default_factory=Counter)
    """How often the actor has stood where, since another one went on."""


class GuidedSearch:
    """A guided search of a program that was linked without reductions."""

    def __init__(self, program: Program, seed: int = 1) -> None:
        self.program = program
        self.search = Search(program)
        self.goals = conflicts(program)
        self.left = set(self.goals)
        """Conflicts that no walk has had."""
        self._seen: set[Place] = set()
        """Where an actor has stood in some walk: what is not there may be on no path at all."""
        self._queue = deque(sorted(self.goals))
        self._random = random.Random(seed)
        self._random.shuffle(self._queue)
        self._found: list[Found] = []
        self._steps = self._walks = self._preemptions = 0

    def run(self, seconds: float, most_walks: int | None = None) -> GuidedResult:
        """Walk for a time, or a number of times. Ctrl-C ends the search early, with what it has."""
        started = time.monotonic()
        try:
            while time.monotonic() - started < seconds and self._walks != most_walks and not self.search.start_found:
                self._walk(self._next_walk())
                self._walks += 1
        except KeyboardInterrupt:
            pass  # the signal is raised again when the outcome is there
        return GuidedResult(
            found=ordered(self._found), walks=self._walks, steps=self._steps, preemptions=self._preemptions,
            conflicts=len(self.goals) - len(self.left), of_conflicts=len(self.goals),
            seconds=time.monotonic() - started,
        )  # fmt: skip

    def _next_walk(self) -> _Walk:
        """Return a walk towards the next conflict that was not had, or one with a number of random preemptions."""
        if self._walks % 2:
            for _ in range(len(self._queue)):
                goal = self._queue.popleft()
                if goal in self.left:
                    self._queue.append(goal)
                    if self._seen.issuperset(goal):
                        return _Walk(self.search.initial, goal, 0.0, 0)
        preemptions = self._walks // 2 % (MOST_PREEMPTIONS + 1)
        length = self._steps / self._walks if self._walks else 1.0
        return _Walk(self.search.initial, (), min(0.5, preemptions / max(length, 1.0)), preemptions)

    def _walk(self, walk: _Walk) -> None:
        """Take steps to the end, a violation, or MAX_STEPS. Where an actor waits or has ended, another one goes on."""
        for _ in range(MAX_STEPS):
            ready = [a for a in range(self.program.actors) if interpreter.may_run(self.program.image, walk.state, a)]
            if not self._step(walk, self._order(walk, ready)):
                if not walk.towards:
                    self._at_rest(walk.state, walk.path)
                    return
                walk.towards = ()  # all others wait: let the held actors go on
            elif self._result != interpreter.STEPPED:
                self._violated(walk.path)
                return

    def _step(self, walk: _Walk, order: list[int]) -> bool:
        """Let the first actor that does not wait take a step. Returns False if all wait."""
        last = walk.last
        for actor in order:
            place = Place(actor, self.program.counter(walk.state, actor))
            preempts = last is not None and actor != last.actor and self._can_go_on(walk.state, last.actor)
            self._seen.add(place)
            taken = self._take(walk.state, actor)
            if taken is None:
                continue
            if last is not None:
                self.left.discard((last, place))
            walk.preemptions += preempts
            self._preemptions = max(self._preemptions, walk.preemptions)
            if place in walk.towards and place == walk.towards[-1] and last in walk.towards:
                walk.towards = ()
            if last is not None and actor != last.actor:
                walk.visits.clear()
            walk.visits[place] += 1
            walk.path.append(taken[0])
            walk.last, walk.state = place, taken[1]
            self._steps += 1
            return True
        return False

    def _can_go_on(self, state: State, actor: int) -> bool:
        """Return whether an actor that was the last to take a step is preempted if another one goes on."""
        if not interpreter.may_run(self.program.image, state, actor):
            return False
        return self.search.take(state, Choice(actor)).result != interpreter.BLOCKED

    def _order(self, walk: _Walk, ready: list[int]) -> list[int]:
        """Return the actors that may go on, in the order in which they are to be tried."""
        last = walk.last.actor if walk.last is not None else None
        if walk.towards:
            first, second = walk.towards
            held = [a for a in ready if Place(a, self.program.counter(walk.state, a)) in walk.towards]
            if len(held) > 1:
                return [first.actor]
            if walk.last == first and held == [second.actor]:
                return [second.actor]
            ready = [actor for actor in ready if actor not in held]
        others = [actor for actor in ready if actor != last]
        self._random.shuffle(others)
        if last not in ready:
            return others
        if walk.visits[Place(last, self.program.counter(walk.state, last))] >= MOST_TURNS:
            return others if walk.towards else [*others, last]
        if others and walk.left and self._random.random() < walk.chance:
            walk.left -= 1
            return [others[0], last, *others[1:]]
        return [last, *others]

    def _take(self, state: State, actor: int) -> tuple[Choice, State] | None:
        """Take a step with a random outcome of its choice. Returns the state behind it, or None if the actor waits."""
        choice = Choice(actor)
        step = self.search.take(state, choice)
        if step.result == interpreter.BLOCKED:
            return None
        if (outcomes := int(self.search.out[OUT_CHOICES])) > 1 and (outcome := self._random.randrange(outcomes)):
            other = self.search.take(state, Choice(actor, outcome))
            if other.result != interpreter.SYMMETRIC:
                choice, step = Choice(actor, outcome), other
            else:
                step = self.search.take(state, choice)
        self._result = step.result
        return choice, step.after

    def _violated(self, path: list[Choice]) -> None:
        """Note what the last step of a path violates, if that is what has cut it off."""
        out, program, actor = self.search.out, self.program, path[-1].actor
        if self._result == interpreter.ENDLESS:
            reason = explain.endless_step(program, actor, int(out[OUT_POINT]))
            self._found.append(Found(property="livelock", path=tuple(path), detail=reason, place=reason))
        elif self._result == interpreter.FAILED:
            failure = program.failures[int(out[OUT_DETAIL])]
            point = program.points[int(out[OUT_POINT])].stack
            place = explain.actor_name(program, actor), point, failure
            self._found.append(
                Found(property=failure.kind, path=tuple(path), failure=failure, point=point, place=place)
            )

    def _at_rest(self, state: State, path: list[Choice]) -> None:
        """Check a state in which no actor can take a step: the end, or a deadlock."""
        program, search = self.program, self.search
        if any(program.counter(state, actor) != COUNTER_END for actor in range(program.actors)):
            reason = explain.deadlock(program, state)
            self._found.append(Found(property="deadlock", path=tuple(path), detail=reason, place=reason))
        elif program.image[AT_END] >= 0 and search.take(state, Choice(NO_ACTOR)).result == interpreter.FAILED:
            failure = program.failures[int(search.out[OUT_DETAIL])]
            self._found.append(Found(property=failure.kind, path=tuple(path), failure=failure, place=failure))
