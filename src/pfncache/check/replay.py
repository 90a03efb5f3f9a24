# SPDX-License-Identifier: GPL-2.0-only
"""Replay of a path through the model's Python source, step by step, compared with the compiled form at each state.

Each actor runs in a greenlet. The functions are those that a direct call runs; a tracer switches away from them at each
preemption point that the compiled code has in the same place.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from greenlet import greenlet
from numpy.typing import NDArray

import pfncache.lang
from pfncache.check.compile.source import Location, attributed
from pfncache.check.compile.values import wraps_at
from pfncache.check.engine import interpreter
from pfncache.check.ir import Variable
from pfncache.check.path import Choice
from pfncache.check.result import Found
from pfncache.check.search import Search
from pfncache.lang.atomic import WouldBlock
from pfncache.lang.part_of import linux_name
from pfncache.lang.records import Record
from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import run_as, switch_to, tracing

SOURCE_ERRORS = (PropertyViolated, AssertionError, AttributeError, IndexError, TypeError)
"""How the source fails where its compiled form reports a violation."""


AT_END = Choice(interpreter.NO_ACTOR)
"""The check at the end, as a step."""


class Divergence(Exception):
    """The Python source and its compiled form take different steps: a defect of the checker."""


@dataclass
class Change:
    """A scalar of a record, its old value and its new one."""

    record: Record
    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old is self.new:
            return f"{self.record}.{self.name} is {self.old}"
        return f"{self.record}.{self.name}: {self.old} -> {self.new}"


class FieldAccess(NamedTuple):
    """A read of a scalar of a record, or a write of it."""

    record: Record
    name: str
    file: str
    """The file whose code accesses it."""
    is_write: bool = False


@dataclass
class Moment:
    """A preemption point, and what the actor changed between it and its next one."""

    actor: int
    stack: tuple[Location, ...]
    changes: list[Change] = field(default_factory=list)
    sees: Change | None = None
    """Of a plain access: the value before it, as a change from that value to itself."""
    first: bool = False
    """The moment begins a transition of the search: other actors may have run before it."""
    accesses: list[FieldAccess] = field(default_factory=list)
    """Every access between it and the next one, in order, those of constants and of atomic functions too."""
    outcome: int = 0
    """The outcome of its nondeterministic choice."""


@dataclass
class Ending:
    """The violation at the end of a replayed path: the property, and the reason with values."""

    kind: str
    detail: str


class Replay:
    """The model's source, executed under a schedule."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.program = search.program
        self.actors = self.program.compiled.system.actors
        self.moments: list[Moment] = []
        self.before: list[Moment] = []
        """The preemption points that the actors passed up to the first place at which they stand in the search."""
        self.end_accesses: list[FieldAccess] = []
        """The accesses of the check that is made when all actors have ended."""
        self.ending: Ending | None = None
        self.failed_start: int | None = None
        """The actor that fails before its first preemption point, if that is what is replayed."""
        self.loop: int | None = None
        """Of a livelock: the index of the moment with which its loop begins."""
        self._allow = 0
        self._actor = 0
        self._outcome = 0
        self._depth = 0
        self._first = False
        self._accesses: list[FieldAccess] = []
        """Those of the current moment."""
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
        self._moduli = {v: wraps_at(v.kind.fields[v.name].hint) for v in self.program.slots if endless}
        """By variable: the modulus of a sequence count in the compiled form. The source's does not wrap, so that a path
        that exists only because of the modulus diverges."""
        self._greenlets: list[greenlet] = []

    # The interface of lang.tracing.Tracer

    def access(self, record: Record, field: str) -> None:
        """A preemption point, unless the access is inside a step or of a constant."""
        if self._depth == 0 and (id(record), field) in self._seen:
            self._pass(sys._getframe(2))
            value = record.__dict__[field]
            self.moments[-1].sees = Change(record, field, value, value)
        self._accesses.append(FieldAccess(record, field, sys._getframe(2).f_code.co_filename))

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """A preemption point, unless it is inside another step."""
        if self._depth == 0:
            self._pass(sys._getframe(2), function)
        self._depth += 1

    def leave_atomic(self) -> None:
        """Leave an atomic function; the step continues up to the next preemption point."""
        self._depth -= 1

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """Record a change in the current moment; access() has recorded its access."""
        self._accesses[-1] = self._accesses[-1]._replace(is_write=True)
        if self.moments and old != new:
            self.moments[-1].changes.append(Change(record, field, old, new))

    def choose(self, options: int) -> int:
        """Return the outcome of the scheduled choice."""
        if self.moments:
            self.moments[-1].outcome = self._outcome
        return self._outcome

    def _pass(self, frame: FrameType | None, step: Callable[..., Any] | None = None) -> None:
        if self._allow == 0:
            self._main.switch()
        self._allow -= 1
        stack = _stack(frame) or (_entry(step),)
        self.moments.append(Moment(self._actor, stack, first=self._first))
        self._accesses = self.moments[-1].accesses
        self._first = False

    # Running

    def start(self, failing: int | None = None) -> None:
        """Run every actor up to its first preemption point in the search, and one that fails before it if it is named.

        An actor that fails before it, but is not the one, is left where it is.
        """
        self.failed_start = failing
        failed: list[Moment] = []
        for number, events in enumerate(self.search.start_events):
            self.moments = []
            self._greenlets.append(greenlet(self._body(number)))
            if events != sys.maxsize or number == failing:
                self._resume(number, events)
            if number == failing:
                failed = self.moments
            else:
                self.before += self.moments
        self.moments = failed

    def _body(self, number: int) -> Callable[[], None]:
        def run() -> None:
            actor = self.actors[number]
            try:
                for call in itertools.cycle(actor.calls) if actor.endless else actor.calls:
                    returned = call.function(*call.args)
                    if call.result is not None and isinstance(returned, int):
                        call.result.__dict__["returned"] = int(returned)
            except SOURCE_ERRORS as error:
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
        elif result not in (interpreter.STEPPED, interpreter.HALTED):
            raise Divergence(f"{self.actors[choice.actor].name} cannot take the scheduled step")
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

    def run(self, found: Found) -> None:
        """Replay the path to a violation, and the check of the end state if every actor has ended.

        The steps of a loop must return to the state in which they began. They are taken a second time, which is not
        recorded: the source's sequence counts, which do not wrap, have other values then.
        """
        path, loop = found.path, found.loop
        self.start(found.start if found.failure is not None else None)
        state = self.search.initial
        self._compare(state)
        loop_start = state
        for number, choice in enumerate(path):
            if number == loop:
                self.loop, loop_start = len(self.moments), state
            state = self.take(state, choice)
        if loop is not None:
            if not np.array_equal(self.search.canonical(loop_start), self.search.canonical(state)):
                raise Divergence("the loop does not lead back to its start")
            shown = len(self.moments)
            for choice in path[loop:]:
                state = self.take(state, choice)
            del self.moments[shown:]
        system = self.program.compiled.system
        ended = all(self.program.counter(state, a) == 0 for a in range(len(self.actors)))
        if not ended or self.ending is not None or system.at_end is None:
            return
        if self.search.take(state, AT_END).result != interpreter.ENDLESS:
            self._accesses, self._depth = self.end_accesses, 1  # it is one step
            try:
                with run_as(system.at_end_task), tracing(self):
                    system.at_end.function(*system.at_end.args)
            except WouldBlock as error:
                self.ending = Ending("deadlock", f"{error} when all is done")
            except SOURCE_ERRORS as error:
                self.ending = _ending(error)

    def finish(self) -> None:
        """Restore every record to its value before the replay, and end the actors."""
        for one in self._greenlets:
            if not one.dead:
                with tracing(_NullTracer()):
                    one.throw()
        switch_to(None)
        for record, values in self._saved:
            record.__dict__.clear()
            record.__dict__.update(values)

    def _compare(self, state: NDArray[np.uint64]) -> None:
        for variable in self.program.slots:
            compiled = self.program.value(state, variable)
            actual = self.program.compiled.heap.holder(variable).__dict__[variable.name]
            modulus = self._moduli.get(variable, 0)
            if compiled is not actual and compiled != actual and not (modulus and (compiled - actual) % modulus == 0):
                text = self.program.compiled.heap.text(variable)
                raise Divergence(f"{text} is {actual} in the source and {compiled} in its compiled form")

    def values(self, variables: list[Variable]) -> dict[str, Any]:
        """The current values of some variables."""
        heap = self.program.compiled.heap
        return {heap.text(v): heap.holder(v).__dict__[v.name] for v in variables}


class _NullTracer:
    """A tracer without effect, for actors that are being ended."""

    def access(self, record: Record, field: str) -> None:
        """Ignore an access."""

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """Ignore an atomic function."""

    def leave_atomic(self) -> None:
        """Ignore its end."""

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """Ignore a change."""

    def choose(self, options: int) -> int:
        """Return the first outcome."""
        return 0


def _ending(error: Exception) -> Ending:
    if isinstance(error, PropertyViolated):
        return Ending(error.kind, error.detail)
    if isinstance(error, IndexError):
        return Ending("out-of-bounds", str(error))
    return Ending("null-dereference", str(error) or "NULL pointer dereference")


LANGUAGE = str(Path(pfncache.lang.__file__).parent)
"""The directory of the modelling language, whose functions are left out of the model's call stacks."""


def _entry(step: Callable[..., Any] | None) -> Location:
    """Return the first line of the body of an atomic function that is itself an actor's operation: nothing calls it."""
    assert step is not None
    code = step.__code__
    body = (line for *_, line in code.co_lines() if line is not None and line > code.co_firstlineno)
    return Location(code.co_filename, min(body, default=code.co_firstlineno), linux_name(code))


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
