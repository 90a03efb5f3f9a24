# SPDX-License-Identifier: GPL-2.0-only
"""Lipton's reduction: steps that are left or right movers are merged with others into one transition."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pfncache.check.code import OP, SUBJECT, Code
from pfncache.check.compile.compiler import Compiled
from pfncache.check.ir import Column, Ref, Touch, Variable
from pfncache.check.ops import LOADS, STORES, Op
from pfncache.check.program.dataflow import derived, edges, successors
from pfncache.check.program.locks import Held, locks_held, stray_releases
from pfncache.check.program.solver import CLEAR, KEEP, SET, everywhere

TOUCHING = LOADS | STORES | {Op.EVENT, Op.ACQUIRE, Op.RELEASE, Op.BLOCK, Op.CHOOSE}
"""The operations that a Touch is made of."""


@derived
def touches(code: Code) -> dict[int, Touch]:
    """Return the accesses of the step that begins at each event, by instruction index; equal ones are one object."""
    held, strays = locks_held(code).held, stray_releases(code)
    things = code.subjects.things
    found: dict[int, Touch] = {}
    known: dict[object, Touch] = {}
    places = code.where(*TOUCHING)
    ops, subjects = code.rows[places, OP].tolist(), code.rows[places, SUBJECT].tolist()
    places = places.tolist()
    begins = [n for n, op in enumerate(ops) if op == Op.EVENT]
    for n, end in itertools.pairwise([*begins, len(ops)]):
        step = frozenset(zip(ops[n + 1 : end], subjects[n + 1 : end], strict=True))
        stray = frozenset(subjects[m] for m in range(n + 1, end) if places[m] in strays)
        key = step, held[places[n]], stray
        if key not in known:
            known[key] = Touch(
                reads=frozenset(things[subject] for op, subject in step if op in LOADS),
                writes=frozenset(things[subject] for op, subject in step if op in STORES),
                held=held[places[n]],
                acquires=frozenset(things[subject] for op, subject in step if op == Op.ACQUIRE),
                releases=frozenset(things[subject] for op, subject in step if op == Op.RELEASE),
                strays=frozenset(things[subject] for subject in stray),
                blocks=any(op == Op.BLOCK for op, _ in step),
                chooses=any(op == Op.CHOOSE for op, _ in step),
            )
        found[places[n]] = known[key]
    return found


@dataclass(frozen=True)
class _Step:
    """The accesses of some steps of an actor, with columns expanded to the variables that are written at all."""

    touch: Touch
    actor: int
    reads: frozenset[Variable]
    writes: frozenset[Variable]

    @property
    def loose(self) -> set[Ref]:
        """Locks that it releases without holding them, and records that it writes without taking or releasing them."""
        released = {use.locks[0] for use in self.touch.strays}
        return released | ({variable.record for variable in self.writes} - _lock_records(self.touch))


def merge_unseen_steps(compiled: Compiled) -> list[set[int]]:
    """Return the events that remain, by actor and instruction index, when steps are merged by Lipton's reduction.

    A step is a left mover if it commutes with every step of another actor that is just before it: it accesses only
    variables that no other actor accesses, or that a lock that it holds protects everywhere, or it releases a lock, or
    downgrades one from writing to reading. It is a right mover if it commutes with every step of another actor that is
    just after it: it takes a lock. A transition of the search is at most one right mover, one step that may conflict
    and does not block, and left movers.

    A lock protects nothing, and is no mover, if any step releases it without holding it: what its holder does in the
    belief that it is alone does not commute with that.

    The reduction requires that an actor can always finish a transition. An actor that an interrupt may block forever,
    as the interrupt waits for what only the actor can do, keeps all of its events.
    """
    expand = functools.cache(partial(variables_of, compiled))
    actors: list[dict[int, _Step]] = []
    for actor in range(len(compiled.system.actors)):
        touched = touches(compiled.codes[actor])
        steps = {touch: _Step(touch, actor, expand(touch.reads), expand(touch.writes)) for touch in touched.values()}
        actors.append({i: steps[touch] for i, touch in touched.items()})
    sharing = _Sharing(step for steps in actors for step in {id(step): step for step in steps.values()}.values())
    blocked = _may_block_forever(compiled, actors)
    remain = []
    for actor, begun in enumerate(actors):
        conflicts = {id(step): sharing.may_conflict(step) for step in begun.values()}
        # An actor's first step begins a transition: no step of the actor is before it.
        visible = {i for n, (i, step) in enumerate(begun.items()) if n == 0 or actor in blocked or conflicts[id(step)]}
        code = compiled.codes[actor]
        if actor not in blocked:
            visible = _merge_with_locks(code, begun, visible, sharing)
        if compiled.system.actors[actor].endless:
            while (event := _event_in_invisible_cycle(code, visible)) is not None:
                visible.add(event)
        remain.append(visible)
    return remain


def _event_in_invisible_cycle(code: Code, visible: set[int]) -> int | None:
    """Return an event on a cycle without visible events: such a cycle would be a transition that does not end."""
    follow = successors(code)
    begun, done = set(), set()
    for start in range(len(code.instrs)):
        trail = [(start, iter(follow[start]))] if start not in begun else []
        begun.add(start)
        while trail:
            i, onward = trail[-1]
            j = next((j for j in onward if j not in visible and j not in done), None)
            if j is None:
                done.add(i)
                trail.pop()
            elif j in begun:
                path = [n for n, _ in trail]
                found = next((n for n in path[path.index(j) :] if code.instrs[n].op == Op.EVENT), None)
                if found is not None:
                    return found
            else:
                begun.add(j)
                trail.append((j, iter(follow[j])))
    return None


def variables_of(compiled: Compiled, operands: frozenset[Variable | Column]) -> frozenset[Variable]:
    """Return the variables among `operands`, and those of the columns, without variables that are never written."""
    columns = [compiled.heap.variables(o) for o in operands if isinstance(o, Column)]
    known = [o for o in operands if isinstance(o, Variable)]
    return frozenset(filter(compiled.written.stores, itertools.chain(known, *columns)))


def _may_block_forever(compiled: Compiled, actors: list[dict[int, _Step]]) -> set[int]:
    """Return the actors whose interrupt, once it has begun, may wait for something that they write."""
    names = [actor.name for actor in compiled.system.actors]
    found = set()
    for number, actor in enumerate(compiled.system.actors):
        if actor.interrupts is not None:
            victim = names.index(actor.interrupts)
            own = list(actors[number].values())[1:]
            awaited = {v for step in own if step.touch.blocks for v in step.reads}
            if any(awaited & step.writes for step in actors[victim].values()):
                found.add(victim)
    return found


def _merge_with_locks(code: Code, steps: dict[int, _Step], visible: set[int], sharing: _Sharing) -> set[int]:
    """Merge a step that does not block with a right mover before it, where no path has another step in between.

    Returns the events of `visible` that remain.
    """
    movers = {id(step): sharing.is_right_mover(step) for step in steps.values()}
    effect = np.full(len(code.rows), KEEP, dtype=np.int64)
    for i, step in steps.items():
        if i in visible:
            effect[i] = SET if movers[id(step)] else CLEAR
        elif step.touch.releases:
            effect[i] = CLEAR
    behind_lock = everywhere(edges(code), effect)
    """By instruction: whether on every path, the last visible step and all after it are right movers."""
    return {i for i in visible if not behind_lock[i] or steps[i].touch.blocks}


class _Sharing:
    """The accesses of all actors to each variable, with the locks that protect them."""

    def __init__(self, steps: Iterable[_Step]) -> None:
        known = list(steps)
        locks = {lock for step in known for lock, _ in step.touch.held}
        self.loose = frozenset(lock for step in known for lock in step.loose if lock in locks)
        """Locks that may be free, or held by another actor, although an actor has taken them."""
        self.actors: dict[Variable, set[int]] = defaultdict(set)
        self.uses: dict[Variable, set[tuple[int, bool, Held]]] = defaultdict(set)
        """Accesses to variables that are not a lock's: actor, whether it is a write, and the locks held."""
        self.observed: set[Variable] = set()
        """Lock variables that a step reads without waiting for the lock or holding it: a trylock, an assertion."""
        self.awaited: set[Variable] = set()
        """Counters of holders that some step waits for to become 0."""
        for step in known:
            self._add(step)

    def _add(self, step: _Step) -> None:
        """Add the accesses of a step."""
        own = _lock_records(step.touch)
        held = self._protection(step)
        for variable in step.reads | step.writes:
            if self._asserts(step, variable):
                continue
            self.actors[variable].add(step.actor)
            if variable.record not in own:
                self.observed.add(variable)
                self.uses[variable].add((step.actor, variable in step.writes, held))
            elif variable.record in self.loose:
                self.observed.add(variable)
            elif step.touch.blocks and not all(use.excludes for use in step.touch.acquires):
                self.awaited.add(variable)
            elif not step.touch.blocks and any(use.excludes for use in step.touch.acquires):
                if (variable.record, True) not in held:  # a trylock; a downgrade holds the lock
                    self.observed.add(variable)

    def is_contended(self, variable: Variable, step: _Step) -> bool:
        """Return whether another actor may access the variable at the same time, and one of the two writes it.

        Two accesses exclude each other by any lock that both hold, one of them exclusively.
        """
        writes = variable in step.writes
        own = self._protection(step)
        return any(
            actor != step.actor and (writes or other_writes) and not exclude(own, held)
            for actor, other_writes, held in self.uses[variable]
        )

    def _protection(self, step: _Step) -> Held:
        """Return the locks that a step holds and that exclude others."""
        return frozenset(lock for lock in step.touch.held if lock[0] not in self.loose)

    def _asserts(self, step: _Step, variable: Variable) -> bool:
        """Return whether the step only reads a lock that it holds: no step of another actor changes the result."""
        held = any(lock == variable.record for lock, _ in self._protection(step))
        return held and variable not in step.writes

    def is_right_mover(self, step: _Step) -> bool:
        """Return whether taking a lock is all that the step does that another actor can observe."""
        touch = step.touch
        if not touch.blocks or touch.chooses or touch.releases or not touch.acquires:
            return False
        if not all(use.excludes for use in touch.acquires):
            return False
        own = _lock_records(touch)
        variables = {v for v in step.reads | step.writes if len(self.actors[v]) > 1}
        return not any(v in self.observed if v.record in own else self.is_contended(v, step) for v in variables)

    def may_conflict(self, step: _Step) -> bool:
        """Return False if the step is a left mover."""
        own = _lock_records(step.touch)
        shared = {v for v in step.reads | step.writes if len(self.actors[v]) > 1 and not self._asserts(step, v)}
        if step.touch.chooses:
            return True
        if step.touch.blocks and (shared or not step.touch.acquires or own & {lock for lock, _ in step.touch.held}):
            return True
        counts = bool(step.touch.acquires) and not any(use.excludes for use in step.touch.acquires)
        for variable in shared:
            if variable.record not in own:
                if self.is_contended(variable, step):
                    return True
            elif variable in self.observed:
                return True
            elif (variable.record, True) in self._protection(step):  # released or downgraded: it is held
                continue
            elif step.touch.acquires and (not counts or variable in self.awaited):
                return True
        return False


def exclude(a: Held, b: Held) -> bool:
    """Return whether two steps with these locks cannot be taken at the same time."""
    return any((lock, True) in b or (exclusive and (lock, False) in b) for lock, exclusive in a)


def _lock_records(touch: Touch) -> set[Ref]:
    return {lock for use in (*touch.acquires, *touch.releases) for lock in use.locks}
