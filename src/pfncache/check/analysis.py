# SPDX-License-Identifier: GPL-2.0-only
"""What can be known of step code without running it: liveness, locks held, and which steps nobody else can see."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from pfncache.check.compiler import Compiled
from pfncache.check.ir import READS, WRITES_D, Code, Column, Event, Instr, LockUse, Op, Variable
from pfncache.check.values import Reg

Held = frozenset[tuple[int, bool]]
"""Locks held for certain: id of the lock record, and whether exclusively."""


def successors(code: Code) -> list[tuple[int, ...]]:
    """Where execution may go after each instruction."""
    if code.successors is not None:
        return code.successors
    result: list[tuple[int, ...]] = []
    for i, instr in enumerate(code.instrs):
        if instr.op in (Op.HALT, Op.FAIL):
            result.append(())
        elif instr.op == Op.JUMP:
            result.append((code.labels[instr.args[0]],))  # type: ignore[index]
        elif instr.op in (Op.JZ, Op.JNZ):
            result.append((i + 1, code.labels[instr.args[1]]))  # type: ignore[index]
        else:
            result.append((i + 1,))
    code.successors = result
    return result


def in_loops(code: Code) -> set[int]:
    """The instructions between a jump backwards and its target: whatever can be executed twice is one of them."""
    found: set[int] = set()
    for i, follow in enumerate(successors(code)):
        for target in follow:
            found |= set(range(target, i + 1))
    return found


def live_registers(code: Code, constants: frozenset[int]) -> dict[int, list[int]]:
    """The registers whose value is still needed, at each event, by instruction index."""
    live = live_masks(code, constants)
    return {i: bits_of(live[i]) for i, instr in enumerate(code.instrs) if instr.op == Op.EVENT}


def live_masks(code: Code, constants: frozenset[int]) -> list[int]:
    """Before each instruction, the registers whose value is still needed, as bits."""
    if code.live is not None:
        return code.live
    follow = successors(code)
    uses: list[int] = []
    defines: list[int] = []
    for instr in code.instrs:
        mask = 0
        for position in READS.get(instr.op, ()):
            register = instr.args[position]
            assert isinstance(register, Reg)
            if register.number not in constants:
                mask |= 1 << register.number
        uses.append(mask)
        target = instr.args[0] if instr.op in WRITES_D else None
        defines.append(1 << target.number if isinstance(target, Reg) else 0)
    live = [0] * len(code.instrs)
    changed = True
    while changed:
        changed = False
        for i in range(len(code.instrs) - 1, -1, -1):
            after = 0
            for j in follow[i]:
                after |= live[j]
            before = uses[i] | (after & ~defines[i])
            if before != live[i]:
                live[i] = before
                changed = True
    code.live = live
    return live


def bits_of(mask: int) -> list[int]:
    """The numbers of the bits that are set, lowest first."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


@dataclass(frozen=True)
class _Path:
    """What is known on one way to an instruction: locks held, their lockdep classes, constant registers."""

    held: Held = frozenset()
    classes: frozenset[str] = frozenset()
    values: frozenset[tuple[int, int]] = frozenset()


MAX_PATHS = 8


def locks_held(code: Code, constants: dict[int, int]) -> list[tuple[Held, frozenset[str]]]:
    """Before each event and lock annotation: locks held on every path to it, and the lockdep classes held.

    Linux takes a lock at the first hit of a loop and notes so in a local, by which it lets go after the loop. Paths are
    therefore told apart by the constants that locals have on them, up to MAX_PATHS of them. `constants` maps the
    registers that hold one for ever to it.
    """
    if code.held is not None:
        return code.held
    live = live_masks(code, frozenset(constants))
    tested = _decisive(code, constants)
    onward = _next_of_note(code, tested)
    follow = [tuple([onward[j] for j in after]) for after in successors(code)]
    size = len(code.instrs)
    states: list[set[_Path]] = [set() for _ in range(size + 1)]
    if not size:
        return []
    states[0].add(_Path())
    todo = [(0, _Path())]
    while todo:
        i, path = todo.pop()
        instr = code.instrs[i]
        advanced = _advance(instr, path, constants, tested)
        for j in _taken(instr, follow[i], path, constants):
            after = advanced
            if after.values and any(not live[j] >> r & 1 for r, _ in after.values):
                after = replace(after, values=frozenset(v for v in after.values if live[j] >> v[0] & 1))
            if after in states[j]:
                continue
            if len(states[j]) >= MAX_PATHS:
                merged = _meet((*states[j], after))
                if merged in states[j]:
                    continue
                states[j] = {merged}
                todo.append((j, merged))
            else:
                states[j].add(after)
                todo.append((j, after))
    code.held = [(p.held, p.classes) for p in (_meet(tuple(s)) for s in states[:-1])]
    return code.held


def _next_of_note(code: Code, tested: set[int]) -> list[int]:
    """For each instruction, the first one from there on that changes what is known of a path, or wants to know it."""
    onward = list(range(len(code.instrs) + 1))
    for i in range(len(code.instrs) - 1, -1, -1):
        instr = code.instrs[i]
        target = instr.args[0] if instr.op in WRITES_D else None
        if instr.op not in NOTED and not (isinstance(target, Reg) and target.number in tested):
            onward[i] = onward[i + 1]
    return onward


NOTED = frozenset({Op.EVENT, Op.ACQUIRE, Op.RELEASE, Op.JUMP, Op.JZ, Op.JNZ, Op.HALT, Op.FAIL})


def _meet(paths: tuple[_Path, ...]) -> _Path:
    if not paths:
        return _Path()
    first, *others = paths
    held, classes, values = first.held, first.classes, first.values
    for other in others:
        held, classes, values = held & other.held, classes & other.classes, values & other.values
    return _Path(held, classes, values)


def _advance(instr: Instr, path: _Path, constants: dict[int, int], tested: set[int]) -> _Path:
    if instr.op == Op.ACQUIRE:
        use = instr.args[0]
        assert isinstance(use, LockUse)
        held = path.held | {(id(use.locks[0]), use.exclusive)} if use.excludes and len(use.locks) == 1 else path.held
        return _Path(held, path.classes | {use.name}, path.values)
    if instr.op == Op.RELEASE:
        use = instr.args[0]
        assert isinstance(use, LockUse)
        gone = {id(lock) for lock in use.locks}
        return _Path(frozenset(h for h in path.held if h[0] not in gone), path.classes - {use.name}, path.values)
    target = instr.args[0] if instr.op in WRITES_D else None
    if not isinstance(target, Reg) or target.number not in tested:
        return path
    values = {pair for pair in path.values if pair[0] != target.number}
    if instr.op in EVALUATE:
        known = dict(path.values)
        operands = [known.get(r.number, constants.get(r.number)) for r in instr.args[1:] if isinstance(r, Reg)]
        if None not in operands:
            values.add((target.number, EVALUATE[instr.op](*operands)))
    return _Path(path.held, path.classes, frozenset(values))


EVALUATE: dict[Op, Any] = {
    Op.MOVE: lambda a: a,
    Op.NOT: lambda a: int(a == 0),
    Op.EQ: lambda a, b: int(a == b),
    Op.NE: lambda a, b: int(a != b),
    Op.LT: lambda a, b: int(a < b),
    Op.LE: lambda a, b: int(a <= b),
}


def _decisive(code: Code, constants: dict[int, int]) -> set[int]:
    """The registers that only ever get constants, and on which a branch depends, directly or through a comparison."""
    inputs: dict[int, set[int]] = defaultdict(set)
    opaque: set[int] = set()
    for instr in code.instrs:
        target = instr.args[0] if instr.op in WRITES_D else None
        if isinstance(target, Reg):
            if instr.op in EVALUATE:
                inputs[target.number] |= {r.number for r in instr.args[1:] if isinstance(r, Reg)} - constants.keys()
            else:
                opaque.add(target.number)
    while True:
        more = {target for target, sources in inputs.items() if target not in opaque and sources & opaque}
        if not more:
            return inputs.keys() - opaque
        opaque |= more


def _taken(instr: Instr, follow: tuple[int, ...], path: _Path, constants: dict[int, int]) -> tuple[int, ...]:
    """The successors that are possible, given what is known of the register that a branch tests."""
    if instr.op in (Op.JZ, Op.JNZ):
        register = instr.args[0]
        assert isinstance(register, Reg)
        known = dict(path.values).get(register.number, constants.get(register.number))
        if known is not None:
            jumps = (known == 0) == (instr.op == Op.JZ)
            return (follow[1],) if jumps else (follow[0],)
    return follow


@dataclass
class _Step:
    """What the step that begins at an event touches."""

    event: Event
    actor: int
    reads: set[Variable] = field(default_factory=set)
    writes: set[Variable] = field(default_factory=set)
    held: Held = frozenset()
    acquires: list[LockUse] = field(default_factory=list)
    releases: list[LockUse] = field(default_factory=list)
    blocks: bool = False
    chooses: bool = False


def _steps(compiled: Compiled) -> list[_Step]:
    columns: dict[Column, list[Variable]] = {}

    def variables(operand: object) -> list[Variable]:
        if isinstance(operand, Variable):
            return [operand] if compiled.written.stores(operand.record, operand.name) else []
        assert isinstance(operand, Column)
        if operand not in columns:
            pool = compiled.heap.pools.get(operand.kind, [])
            columns[operand] = [Variable(r, operand.name) for r in pool if compiled.written.stores(r, operand.name)]
        return columns[operand]

    constants = compiled.constant_registers()
    found: list[_Step] = []
    for actor in range(len(compiled.system.actors)):
        code = compiled.codes[actor]
        held = locks_held(code, constants)
        step: _Step | None = None
        for i, instr in enumerate(code.instrs):
            if instr.op == Op.EVENT:
                event = instr.args[0]
                assert isinstance(event, Event)
                step = _Step(event, actor, held=held[i][0])
                found.append(step)
            if step is None:
                continue
            if instr.op in (Op.LOAD, Op.LOADX):
                step.reads.update(variables(instr.args[1]))
            elif instr.op in (Op.STORE, Op.STOREX):
                step.writes.update(variables(instr.args[0]))
            elif instr.op == Op.ACQUIRE:
                step.acquires.append(instr.args[0])  # type: ignore[arg-type]
            elif instr.op == Op.RELEASE:
                step.releases.append(instr.args[0])  # type: ignore[arg-type]
            elif instr.op == Op.BLOCK:
                step.blocks = True
            elif instr.op == Op.CHOOSE:
                step.chooses = True
    return found


def merge_unseen_steps(compiled: Compiled) -> None:
    """Mark as invisible every event whose step can be merged with the one before, by Lipton's movers.

    A step is a left mover when whatever another actor does just before it could as well be done just after it: it
    touches only what no other actor does, or what a lock that it holds protects everywhere, or it lets a lock go. It
    is a right mover when the same is true the other way round: it takes a lock. A transition of the search is then at
    most one right mover, one step that may conflict and does not wait, and left movers.

    That an actor can finish what it has begun is what all of this rests on. One that an interrupt may stop for good,
    as the interrupt waits for what only the actor can do, keeps all of its steps.
    """
    steps = _steps(compiled)
    sharing = _Sharing()
    for step in steps:
        sharing.add(step)
    stopped = _stopped_for_good(compiled, steps)
    begun: set[int] = set()
    for step in steps:
        # An actor's first step is its own transition: before it, nothing of the actor has happened.
        step.event.visible = step.actor not in begun or step.actor in stopped or sharing.sees(step)
        begun.add(step.actor)
    by_event = {id(step.event): step for step in steps}
    for number, code in enumerate(compiled.codes[: len(compiled.system.actors)]):
        if number not in stopped:
            _merge_with_locks(code, by_event, sharing)
        if compiled.system.actors[number].endless:
            while (event := _unseen_in_loop(code)) is not None:
                event.visible = True


def _unseen_in_loop(code: Code) -> Event | None:
    """An event on a way round that passes no visible one: for whoever may go round for ever, that is no step."""
    follow = successors(code)
    begun, done = set(), set()
    for start in range(len(code.instrs)):
        trail = [(start, iter(follow[start]))] if start not in begun else []
        begun.add(start)
        while trail:
            i, onward = trail[-1]
            j = next((j for j in onward if not _is_seen(code, j) and j not in done), None)
            if j is None:
                done.add(i)
                trail.pop()
            elif j in begun:
                way = [n for n, _ in trail]
                round_ = (code.instrs[n].args[0] for n in way[way.index(j) :] if code.instrs[n].op == Op.EVENT)
                found = next(round_, None)
                assert found is None or isinstance(found, Event)
                if found is not None:
                    return found
            else:
                begun.add(j)
                trail.append((j, iter(follow[j])))
    return None


def _is_seen(code: Code, i: int) -> bool:
    event = code.instrs[i].args[0] if code.instrs[i].op == Op.EVENT else None
    return isinstance(event, Event) and event.visible


def _stopped_for_good(compiled: Compiled, steps: list[_Step]) -> set[int]:
    """The actors whose interrupt, once begun, may wait for something that they write."""
    names = [actor.name for actor in compiled.system.actors]
    found = set()
    for number, actor in enumerate(compiled.system.actors):
        if actor.interrupts is not None:
            victim = names.index(actor.interrupts)
            own = [step for step in steps if step.actor == number][1:]
            awaited = {v for step in own if step.blocks for v in step.reads}
            if any(awaited & step.writes for step in steps if step.actor == victim):
                found.add(victim)
    return found


def _merge_with_locks(code: Code, steps: dict[int, _Step], sharing: _Sharing) -> None:
    """Merge a step that does not wait with the taking of a lock, where nothing else is before it on any way."""
    follow = successors(code)
    behind_lock: dict[int, bool] = {0: False}
    """By instruction: whether on every way, all that was done since the last visible step is a right mover."""
    todo = [0]
    while todo:
        i = todo.pop()
        onward = behind_lock[i]
        if code.instrs[i].op == Op.EVENT:
            step = steps[id(code.instrs[i].args[0])]
            onward = sharing.is_right_mover(step) if step.event.visible else onward and not step.releases
        for j in follow[i]:
            if behind_lock.get(j, not onward) != (behind_lock.get(j, True) and onward):
                behind_lock[j] = behind_lock.get(j, True) and onward
                todo.append(j)
    for i, behind in behind_lock.items():
        if behind and code.instrs[i].op == Op.EVENT:
            step = steps[id(code.instrs[i].args[0])]
            step.event.visible = step.event.visible and step.blocks


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
        own = _lock_records(step)
        for variable in step.reads | step.writes:
            if _asserts(step, variable):
                continue
            self.actors[variable].add(step.actor)
            if id(variable.record) not in own:
                self.observed.add(variable)
                self.uses[variable].add((step.actor, variable in step.writes, step.held))
            elif step.blocks and not all(use.excludes for use in step.acquires):
                self.awaited.add(variable)
            elif not step.blocks and any(use.excludes for use in step.acquires):
                self.observed.add(variable)

    def is_contended(self, variable: Variable, step: _Step) -> bool:
        """Whether another actor may touch the variable at the same time, and one of the two writes it.

        Two accesses exclude each other by any lock that both hold, one of them exclusively.
        """
        writes = variable in step.writes
        return any(
            actor != step.actor and (writes or other_writes) and not _exclude(step.held, held)
            for actor, other_writes, held in self.uses[variable]
        )

    def is_right_mover(self, step: _Step) -> bool:
        """Whether the step does nothing that another actor could notice but to take a lock."""
        own = _lock_records(step)
        variables = {v for v in step.reads | step.writes if len(self.actors[v]) > 1}
        if not step.blocks or step.chooses or step.releases or not step.acquires:
            return False
        if not all(use.excludes for use in step.acquires):
            return False
        return not any(v in self.observed if id(v.record) in own else self.is_contended(v, step) for v in variables)

    def sees(self, step: _Step) -> bool:
        """False when the step is a left mover."""
        own = _lock_records(step)
        shared = {v for v in step.reads | step.writes if len(self.actors[v]) > 1 and not _asserts(step, v)}
        if step.chooses:
            return True
        if step.blocks and (shared or not step.acquires or own & {lock for lock, _ in step.held}):
            return True
        counts = bool(step.acquires) and not any(use.excludes for use in step.acquires)
        for variable in shared:
            if id(variable.record) not in own:
                if self.is_contended(variable, step):
                    return True
            elif variable in self.observed or (step.acquires and (not counts or variable in self.awaited)):
                return True
        return False


def _asserts(step: _Step, variable: Variable) -> bool:
    """Whether the step only looks whether a lock is held that is: whatever others do, it is."""
    return variable not in step.writes and any(lock == id(variable.record) for lock, _ in step.held)


def _exclude(a: Held, b: Held) -> bool:
    return any((lock, True) in b or (exclusive and (lock, False) in b) for lock, exclusive in a)


def _lock_records(step: _Step) -> set[int]:
    return {id(lock) for use in (*step.acquires, *step.releases) for lock in use.locks}
