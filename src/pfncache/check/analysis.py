# SPDX-License-Identifier: GPL-2.0-only
"""What can be known of step code without running it: liveness, locks held, and which steps nobody else can see."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from pfncache.check.compiler import Compiled
from pfncache.check.ir import READS, WRITES_D, Code, Column, Event, LockUse, Op, Variable
from pfncache.check.values import Reg

Held = frozenset[tuple[int, bool]]
"""Locks held for certain: id of the lock record, and whether exclusively."""


def successors(code: Code) -> list[tuple[int, ...]]:
    """Where execution may go after each instruction."""
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
    return result


def live_registers(code: Code, constants: frozenset[int]) -> dict[int, list[int]]:
    """The registers whose value is still needed, at each event, by instruction index."""
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
    return {i: _bits(live[i]) for i, instr in enumerate(code.instrs) if instr.op == Op.EVENT}


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def locks_held(code: Code) -> list[tuple[Held, frozenset[str]]]:
    """Before each instruction: locks held on every path to it, and the lockdep classes held."""
    follow = successors(code)
    state: list[tuple[Held, frozenset[str]] | None] = [None] * (len(code.instrs) + 1)
    if not code.instrs:
        return []
    state[0] = (frozenset(), frozenset())
    todo = [0]
    while todo:
        i = todo.pop()
        here = state[i]
        assert here is not None
        instr = code.instrs[i]
        if instr.op == Op.ACQUIRE:
            use = instr.args[0]
            assert isinstance(use, LockUse)
            exact = here[0] | {(id(use.locks[0]), use.exclusive)} if use.excludes and len(use.locks) == 1 else here[0]
            here = (exact, here[1] | {use.name})
        elif instr.op == Op.RELEASE:
            use = instr.args[0]
            assert isinstance(use, LockUse)
            gone = {id(lock) for lock in use.locks}
            here = (frozenset(h for h in here[0] if h[0] not in gone), here[1] - {use.name})
        for j in follow[i]:
            old = state[j]
            new = here if old is None else (old[0] & here[0], old[1] & here[1])
            if new != old:
                state[j] = new
                todo.append(j)
    empty: tuple[Held, frozenset[str]] = (frozenset(), frozenset())
    return [s if s is not None else empty for s in state[:-1]]


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
            return [operand]
        assert isinstance(operand, Column)
        if operand not in columns:
            pool = compiled.heap.pools.get(operand.kind, [])
            columns[operand] = [Variable(r, operand.name) for r in pool if compiled.written.has(r, operand.name)]
        return columns[operand]

    found: list[_Step] = []
    for actor in range(len(compiled.system.actors)):
        code = compiled.codes[actor]
        held = locks_held(code)
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
    """Mark as invisible every event whose step can be merged with the one before, by Lipton's left movers.

    A step is a left mover when whatever another actor does just before it could as well be done just after it: it
    touches only what no other actor does, or what a lock that it holds protects everywhere, or it lets a lock go. A
    transition of the search is then one step that may conflict, followed by left movers only.
    """
    steps = _steps(compiled)
    sharing = _Sharing()
    for step in steps:
        sharing.add(step)
    for step in steps:
        step.event.visible = sharing.sees(step)


class _Sharing:
    """Who touches which variable, and under what."""

    def __init__(self) -> None:
        self.actors: dict[Variable, set[int]] = defaultdict(set)
        self.protection: dict[Variable, frozenset[int]] = {}
        self.observed: set[Variable] = set()
        """Lock variables that somebody reads who neither waits for the lock nor holds it: a trylock, an assertion."""
        self.awaited: set[Variable] = set()
        """Counters of holders that somebody waits for to drain."""

    def add(self, step: _Step) -> None:
        """Take the accesses of a step into account."""
        own = _lock_records(step)
        for variable in step.reads | step.writes:
            self.actors[variable].add(step.actor)
            if id(variable.record) not in own:
                self.observed.add(variable)
                locks = frozenset(lock for lock, exclusive in step.held if exclusive or variable not in step.writes)
                self.protection[variable] = self.protection.get(variable, locks) & locks
            elif step.blocks and not all(use.excludes for use in step.acquires):
                self.awaited.add(variable)
            elif not step.blocks and any(use.excludes for use in step.acquires):
                self.observed.add(variable)

    def sees(self, step: _Step) -> bool:
        """False when the step is a left mover."""
        own = _lock_records(step)
        shared = {v for v in step.reads | step.writes if len(self.actors[v]) > 1}
        if step.chooses:
            return True
        if step.blocks and (shared or not step.acquires or own & {lock for lock, _ in step.held}):
            return True
        counts = bool(step.acquires) and not any(use.excludes for use in step.acquires)
        for variable in shared:
            if id(variable.record) not in own:
                if not self.protection[variable]:
                    return True
            elif variable in self.observed or (step.acquires and (not counts or variable in self.awaited)):
                return True
        return False


def _lock_records(step: _Step) -> set[int]:
    return {id(lock) for use in (*step.acquires, *step.releases) for lock in use.locks}
