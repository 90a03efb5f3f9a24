# SPDX-License-Identifier: GPL-2.0-only
"""Which steps of an actor nobody else can see: Lipton's movers."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from dataclasses import dataclass
from functools import partial

from pfncache.check.compile.compiler import Compiled
from pfncache.check.ir import Code, Column, Instr, Ref, Touch, Variable
from pfncache.check.ops import LOADS, STORES, Op
from pfncache.check.program.dataflow import Held, locks_held, successors


def touches(code: Code) -> dict[int, Touch]:
    """What the step touches that begins at each event, by instruction index; steps that touch the same share one."""
    if code.touches is not None:
        return code.touches
    held = locks_held(code)
    found: dict[int, Touch] = {}
    known: dict[Touch, Touch] = {}
    events = [i for i, instr in enumerate(code.instrs) if instr.op == Op.EVENT]
    for i, after in itertools.pairwise([*events, len(code.instrs)]):
        by_op: dict[Op, list[Instr]] = defaultdict(list)
        for instr in code.instrs[i:after]:
            by_op[instr.op].append(instr)
        touch = Touch(
            frozenset(instr.place for op in LOADS for instr in by_op[op]),
            frozenset(instr.place for op in STORES for instr in by_op[op]),
            held[i][0],
            frozenset(instr.lock for instr in by_op[Op.ACQUIRE]),
            frozenset(instr.lock for instr in by_op[Op.RELEASE]),
            Op.BLOCK in by_op,
            Op.CHOOSE in by_op,
        )
        found[i] = known.setdefault(touch, touch)
    code.touches = found
    return found


@dataclass(frozen=True)
class _Step:
    """What the steps of an actor touch that touch the same: of what is written at all, each variable."""

    touch: Touch
    actor: int
    reads: frozenset[Variable]
    writes: frozenset[Variable]


def merge_unseen_steps(compiled: Compiled) -> list[set[int]]:
    """The events that remain, by actor and instruction index, when steps are merged by Lipton's movers.

    A step is a left mover when whatever another actor does just before it could as well be done just after it: it
    touches only what no other actor does, or what a lock that it holds protects everywhere, or it lets a lock go. It
    is a right mover when the same is true the other way round: it takes a lock. A transition of the search is then at
    most one right mover, one step that may conflict and does not wait, and left movers.

    That an actor can finish what it has begun is what all of this rests on. One that an interrupt may stop for good,
    as the interrupt waits for what only the actor can do, keeps all of its steps.
    """
    expand = functools.cache(partial(_variables, compiled))
    sharing = _Sharing()
    actors: list[dict[int, _Step]] = []
    for actor in range(len(compiled.system.actors)):
        touched = touches(compiled.codes[actor])
        steps = {touch: _Step(touch, actor, expand(touch.reads), expand(touch.writes)) for touch in touched.values()}
        for step in steps.values():
            sharing.add(step)
        actors.append({i: steps[touch] for i, touch in touched.items()})
    stopped = _stopped_for_good(compiled, actors)
    remain = []
    for actor, begun in enumerate(actors):
        sees = {id(step): sharing.sees(step) for step in begun.values()}
        # An actor's first step is its own transition: before it, nothing of the actor has happened.
        visible = {i for n, (i, step) in enumerate(begun.items()) if n == 0 or actor in stopped or sees[id(step)]}
        code = compiled.codes[actor]
        if actor not in stopped:
            visible = _merge_with_locks(code, begun, visible, sharing)
        if compiled.system.actors[actor].endless:
            while (event := _unseen_in_loop(code, visible)) is not None:
                visible.add(event)
        remain.append(visible)
    return remain


def _unseen_in_loop(code: Code, visible: set[int]) -> int | None:
    """An event on a way round that passes no visible one: for whoever may go round for ever, that is no step."""
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
                way = [n for n, _ in trail]
                found = next((n for n in way[way.index(j) :] if code.instrs[n].op == Op.EVENT), None)
                if found is not None:
                    return found
            else:
                begun.add(j)
                trail.append((j, iter(follow[j])))
    return None


def _variables(compiled: Compiled, operands: frozenset[Variable | Column]) -> frozenset[Variable]:
    """The variables among `operands`, and in the columns among them."""
    columns = [compiled.heap.variables(o) for o in operands if isinstance(o, Column)]
    known = [o for o in operands if isinstance(o, Variable)]
    return frozenset(filter(compiled.written.stores, itertools.chain(known, *columns)))


def _stopped_for_good(compiled: Compiled, actors: list[dict[int, _Step]]) -> set[int]:
    """The actors whose interrupt, once begun, may wait for something that they write."""
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
    """Merge a step that does not wait with the taking of a lock, where nothing else is before it on any way.

    Returns the events of `visible` that remain.
    """
    follow = successors(code)
    movers = {id(step): sharing.is_right_mover(step) for step in steps.values()}
    behind_lock: dict[int, bool] = {0: False}
    """By instruction: whether on every way, all that was done since the last visible step is a right mover."""
    todo = [0]
    while todo:
        i = todo.pop()
        onward = behind_lock[i]
        if i in steps:
            onward = movers[id(steps[i])] if i in visible else onward and not steps[i].touch.releases
        for j in follow[i]:
            if behind_lock.get(j, not onward) != (behind_lock.get(j, True) and onward):
                behind_lock[j] = behind_lock.get(j, True) and onward
                todo.append(j)
    return {i for i in visible if not behind_lock.get(i) or steps[i].touch.blocks}


class _Sharing:
    """Who touches which variable, and under what."""

    def __init__(self) -> None:
        self.actors: dict[Variable, set[int]] = defaultdict(set)
        self.uses: dict[Variable, set[tuple[int, bool, Held]]] = defaultdict(set)
        """Of variables that are no lock: by which actor, whether written, and under which locks."""
        self.observed: set[Variable] = set()
        """Lock variables that somebody reads who neither waits for the lock nor holds it: a trylock, an assertion."""
        self.awaited: set[Variable] = set()
        """Counters of holders that somebody waits for to drain."""

    def add(self, step: _Step) -> None:
        """Take the accesses of a step into account."""
        own = _lock_records(step.touch)
        for variable in step.reads | step.writes:
            if _asserts(step, variable):
                continue
            self.actors[variable].add(step.actor)
            if variable.record not in own:
                self.observed.add(variable)
                self.uses[variable].add((step.actor, variable in step.writes, step.touch.held))
            elif step.touch.blocks and not all(use.excludes for use in step.touch.acquires):
                self.awaited.add(variable)
            elif not step.touch.blocks and any(use.excludes for use in step.touch.acquires):
                self.observed.add(variable)

    def is_contended(self, variable: Variable, step: _Step) -> bool:
        """Whether another actor may touch the variable at the same time, and one of the two writes it.

        Two accesses exclude each other by any lock that both hold, one of them exclusively.
        """
        writes = variable in step.writes
        return any(
            actor != step.actor and (writes or other_writes) and not _exclude(step.touch.held, held)
            for actor, other_writes, held in self.uses[variable]
        )

    def is_right_mover(self, step: _Step) -> bool:
        """Whether the step does nothing that another actor could notice but to take a lock."""
        touch = step.touch
        if not touch.blocks or touch.chooses or touch.releases or not touch.acquires:
            return False
        if not all(use.excludes for use in touch.acquires):
            return False
        own = _lock_records(touch)
        variables = {v for v in step.reads | step.writes if len(self.actors[v]) > 1}
        return not any(v in self.observed if v.record in own else self.is_contended(v, step) for v in variables)

    def sees(self, step: _Step) -> bool:
        """False when the step is a left mover."""
        own = _lock_records(step.touch)
        shared = {v for v in step.reads | step.writes if len(self.actors[v]) > 1 and not _asserts(step, v)}
        if step.touch.chooses:
            return True
        if step.touch.blocks and (shared or not step.touch.acquires or own & {lock for lock, _ in step.touch.held}):
            return True
        counts = bool(step.touch.acquires) and not any(use.excludes for use in step.touch.acquires)
        for variable in shared:
            if variable.record not in own:
                if self.is_contended(variable, step):
                    return True
            elif variable in self.observed or (step.touch.acquires and (not counts or variable in self.awaited)):
                return True
        return False


def _asserts(step: _Step, variable: Variable) -> bool:
    """Whether the step only looks whether a lock is held that is: whatever others do, it is."""
    return variable not in step.writes and any(lock == variable.record for lock, _ in step.touch.held)


def _exclude(a: Held, b: Held) -> bool:
    return any((lock, True) in b or (exclusive and (lock, False) in b) for lock, exclusive in a)


def _lock_records(touch: Touch) -> set[Ref]:
    return {lock for use in (*touch.acquires, *touch.releases) for lock in use.locks}
