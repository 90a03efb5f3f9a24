# SPDX-License-Identifier: GPL-2.0-only
"""Replays a path through the model's own Python source, one step at a time, and checks that both agree.

Each actor runs in a greenlet. The functions are the very ones that a direct call runs; a tracer stops them at each
preemption point that the compiled code has there too.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from greenlet import greenlet
from numpy.typing import NDArray

import pfncache.lang
from pfncache.check.compile.source import Location, attributed
from pfncache.check.compile.values import wraps_at
from pfncache.check.engine import interpreter
from pfncache.check.ir import Variable
from pfncache.check.path import Choice
from pfncache.check.search import Search
from pfncache.lang.part_of import linux_name
from pfncache.lang.records import Record
from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import switch_to, tracing


class Divergence(Exception):
    """The Python source and its compiled form do not agree: a defect of the checker."""


@dataclass
class Change:
    """A scalar that went from one value to another."""

    record: Record
    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old is self.new:
            return f"{self.record}.{self.name} is {self.old}"
        return f"{self.record}.{self.name}: {self.old} -> {self.new}"


@dataclass
class Moment:
    """One preemption point that was passed, and what the step after it changed."""

    actor: int
    stack: tuple[Location, ...]
    changes: list[Change] = field(default_factory=list)
    sees: Change | None = None
    """What a plain access finds: a change from the value to itself."""
    first: bool = False
    """The moment begins a transition of the search: others may have run before it."""


@dataclass
class Ending:
    """How a replayed path ended: the property that was violated, and why, with values."""

    kind: str
    detail: str


class Replay:
    """The model's source, run under a schedule."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.program = search.program
        self.actors = self.program.compiled.system.actors
        self.moments: list[Moment] = []
        self.ending: Ending | None = None
        self.loop: int | None = None
        """Of a livelock: the moment with which its loop begins."""
        self._allow = 0
        self._actor = 0
        self._outcome = 0
        self._depth = 0
        self._first = False
        self._main = greenlet.getcurrent()
        self._saved = [(r, dict(r.__dict__)) for pool in self.program.compiled.heap.pools.values() for r in pool]
        heap, varies = self.program.compiled.heap, self.program.compiled.written.varies
        self._seen = {
            (id(r), name)
            for kind, pool in heap.pools.items()
            for r in pool
            for name in kind.fields
            if varies(heap.variable(r, name))
            or (r.slab_owner is not None and varies(heap.variable(r.slab_owner, "slab_state")))
        }
        endless = self.program.compiled.system.is_endless
        self._turns = {v: wraps_at(v.kind.fields[v.name].hint) for v in self.program.slots if endless}
        """What the compiled form counts modulo; the source does not, so that it shows whether that matters."""
        self._greenlets: list[greenlet] = []

    # What model.Tracer wants

    def access(self, record: Record, field: str) -> None:
        """A preemption point, unless the access is inside a step or of a constant."""
        if self._depth == 0 and (id(record), field) in self._seen:
            self._pass(sys._getframe(2))
            value = record.__dict__[field]
            self.moments[-1].sees = Change(record, field, value, value)

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """A preemption point, unless it is inside another step."""
        if self._depth == 0:
            self._pass(sys._getframe(2))
        self._depth += 1

    def leave_atomic(self) -> None:
        """The step goes on until the next preemption point."""
        self._depth -= 1

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """Note a change for the trace."""
        if self.moments and old != new:
            self.moments[-1].changes.append(Change(record, field, old, new))

    def choose(self, options: int) -> int:
        """The outcome that the schedule wants."""
        return self._outcome

    def _pass(self, frame: FrameType | None) -> None:
        if self._allow == 0:
            self._main.switch()
        self._allow -= 1
        self.moments.append(Moment(self._actor, _stack(frame), first=self._first))
        self._first = False

    # Running

    def start(self) -> None:
        """Bring every actor to its first preemption point that the search has."""
        for number, events in enumerate(self.search.start_events):
            self.moments.clear()
            self._greenlets.append(greenlet(self._body(number)))
            self._resume(number, events)
        if self.ending is None:
            self.moments.clear()

    def _body(self, number: int) -> Callable[[], None]:
        def run() -> None:
            actor = self.actors[number]
            try:
                for call in itertools.cycle(actor.calls) if actor.endless else actor.calls:
                    call.function(*call.args)
            except (PropertyViolated, AssertionError, AttributeError, IndexError, TypeError) as error:
                self.ending = _ending(error)

        return run

    def _resume(self, number: int, events: int) -> None:
        self._actor, self._allow, self._first = number, events, True
        switch_to(self.actors[number].task)
        with tracing(self):
            self._greenlets[number].switch()
        switch_to(None)
        if self._allow and self.ending is None:
            raise Divergence(
                f"{self.actors[number].name} passed {events - self._allow} preemption points, "
                f"its compiled form {events}"
            )

    def take(self, state: NDArray[np.uint64], choice: Choice) -> NDArray[np.uint64]:
        """Take one step in both forms. Returns the compiled state after it; raises Divergence if the forms differ."""
        result, after, events, _ = self.search.take(state, choice)
        self._outcome = choice.outcome
        if result == interpreter.FAILED:
            events = sys.maxsize
        elif result != interpreter.STEPPED:
            raise Divergence(f"{self.actors[choice.actor].name} cannot take the step that the schedule wants")
        self._resume(choice.actor, events)
        if result == interpreter.FAILED:
            if self.ending is None:
                raise Divergence("the compiled form fails, the source does not")
            return after
        if self.ending is not None:
            raise Divergence(f"the source fails, its compiled form does not: {self.ending.kind}: {self.ending.detail}")
        if self._greenlets[choice.actor].dead != (self.program.counter(after, choice.actor) == 0):
            raise Divergence(f"{self.actors[choice.actor].name} has ended in one form only")
        self._compare(after)
        return after

    def run(self, path: list[Choice], loop: int | None = None) -> None:
        """Replay a whole path, then what is asked at the end if the path got there.

        What follows the first `loop` steps must lead back to where these led. It is taken once more than is shown:
        the sequences of the source have gone on meanwhile.
        """
        self.start()
        if self.search.start_failure is not None:
            return
        state = self.search.initial
        self._compare(state)
        turn = state
        for number, choice in enumerate(path):
            if number == loop:
                self.loop, turn = len(self.moments), state
            state = self.take(state, choice)
        if loop is not None:
            if not np.array_equal(self.search.canonical(turn), self.search.canonical(state)):
                raise Divergence("the loop does not lead back to its start")
            shown = len(self.moments)
            for choice in path[loop:]:
                state = self.take(state, choice)
            del self.moments[shown:]
        system = self.program.compiled.system
        ended = all(self.program.counter(state, a) == 0 for a in range(len(self.actors)))
        if ended and self.ending is None and system.at_end is not None:
            try:
                system.at_end.function(*system.at_end.args)
            except PropertyViolated as error:
                self.ending = _ending(error)

    def finish(self) -> None:
        """Give every record its value from before the replay, and end the actors."""
        for one in self._greenlets:
            if not one.dead:
                with tracing(_Deaf()):
                    one.throw()
        switch_to(None)
        for record, values in self._saved:
            record.__dict__.clear()
            record.__dict__.update(values)

    def _compare(self, state: NDArray[np.uint64]) -> None:
        for variable in self.program.slots:
            compiled = self.program.value(state, variable)
            actual = self.program.compiled.heap.holder(variable).__dict__[variable.name]
            turn = self._turns.get(variable, 0)
            if compiled is not actual and compiled != actual and not (turn and (compiled - actual) % turn == 0):
                text = self.program.compiled.heap.text(variable)
                raise Divergence(f"{text} is {actual} in the source and {compiled} in its compiled form")

    def values(self, variables: list[Variable]) -> dict[str, Any]:
        """The current values of some variables."""
        heap = self.program.compiled.heap
        return {heap.text(v): heap.holder(v).__dict__[v.name] for v in variables}


class _Deaf:
    """A tracer for actors that are being ended."""

    def access(self, record: Record, field: str) -> None:
        """Nothing to see."""

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """Nothing to count."""

    def leave_atomic(self) -> None:
        """Nothing to count."""

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """Nothing to note."""

    def choose(self, options: int) -> int:
        """Any outcome will do."""
        return 0


def _ending(error: Exception) -> Ending:
    if isinstance(error, PropertyViolated):
        return Ending(error.kind, error.detail)
    if isinstance(error, IndexError):
        return Ending("out-of-bounds", str(error))
    return Ending("null-dereference", str(error) or "a NULL pointer is followed")


LANGUAGE = str(Path(pfncache.lang.__file__).parent)
"""Where the modelling language is: its own functions are no part of the model's call stack."""


def _stack(frame: FrameType | None) -> tuple[Location, ...]:
    found = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename == __file__:
            break
        if not code.co_filename.startswith(LANGUAGE) and not code.co_filename.endswith("contextlib.py"):
            found.append(Location(code.co_filename, frame.f_lineno, linux_name(code)))
        frame = frame.f_back
    return attributed(reversed(found))
