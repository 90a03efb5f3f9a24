# SPDX-License-Identifier: GPL-2.0-only
"""Dataflow analysis of step code: live registers, and locks held."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from pfncache.check.ir import Code, Instr, Ref
from pfncache.check.ops import BRANCHES, EVALUATE, FINAL, JUMPS, Op

Held = frozenset[tuple[Ref, bool]]
"""Locks that are certainly held: the lock record, and whether exclusively."""


def successors(code: Code) -> list[tuple[int, ...]]:
    """Return the successors of each instruction; of a branch, the next instruction and then the target of the jump."""
    if code.successors is not None:
        return code.successors
    result: list[tuple[int, ...]] = []
    for i, instr in enumerate(code.instrs):
        if instr.op in FINAL:
            result.append(())
        elif instr.op == Op.JUMP:
            result.append((code.labels[instr.label],))
        elif instr.op in BRANCHES:
            result.append((i + 1, code.labels[instr.label]))
        else:
            result.append((i + 1,))
    code.successors = result
    return result


def in_loops(code: Code) -> set[int]:
    """Return the instructions between a backward jump and its target: all that can be executed twice are among them."""
    if code.loops is None:
        code.loops = set()
        for i, follow in enumerate(successors(code)):
            for target in follow:
                if target <= i:
                    code.loops.update(range(target, i + 1))
    return code.loops


def live_registers(code: Code) -> dict[int, list[int]]:
    """Return the live registers at each event, by instruction index."""
    live = live_masks(code)
    return {i: bits_of(live[i]) for i, instr in enumerate(code.instrs) if instr.op == Op.EVENT}


def live_masks(code: Code) -> list[int]:
    """Return the registers that are live before each instruction, as bit masks."""
    if code.live is not None:
        return code.live
    constants = code.constant_registers()
    uses: list[int] = []
    defines: list[int] = []
    for instr in code.instrs:
        mask = 0
        for register in instr.reads:
            if register.number not in constants:
                mask |= 1 << register.number
        uses.append(mask)
        defines.append(1 << instr.dest.number if instr.dest is not None else 0)
    live = backwards(successors(code), uses, defines, [0] * len(uses), [False] * len(uses))
    shared: dict[int, int] = {}
    code.live = [shared.setdefault(mask, mask) for mask in live]
    return code.live


def backwards(
    follow: list[tuple[int, ...]], gen: list[int], kill: list[int], ends: list[int], barrier: list[bool]
) -> list[int]:
    """Solve a backward dataflow problem: in = gen | (out & ~kill), out = the union over the successors.

    `ends` is what holds after an instruction regardless of its successors. At a barrier, in is empty.
    """
    found = [0] * len(gen)
    back = [(i, j) for i, after in enumerate(follow) for j in after if j <= i]
    """Edges to what one pass has not solved yet."""
    assumed: list[int] | None = None
    while assumed is None or any(found[j] != before for (_, j), before in zip(back, assumed, strict=True)):
        assumed = [found[j] for _, j in back]
        for i in range(len(gen) - 1, -1, -1):
            if barrier[i]:
                continue
            after = ends[i]
            for j in follow[i]:
                after |= found[j]
            found[i] = gen[i] | (after & ~kill[i])
    return found


def bits_of(mask: int) -> list[int]:
    """Return the numbers of the bits that are set, lowest first."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


class _Path(NamedTuple):
    """What holds on one path to an instruction: locks held, their lockdep classes, registers of known value."""

    held: Held = frozenset()
    classes: frozenset[str] = frozenset()
    values: frozenset[tuple[int, int]] = frozenset()


MAX_PATHS = 8
"""Paths to an instruction that are kept apart; beyond that, what holds on all of them is kept."""


def locks_held(code: Code) -> list[tuple[Held, frozenset[str]]]:
    """Return, for each event and lock annotation, the locks and lockdep classes that are held on every path to it.

    A forward analysis. Linux takes a lock at the first hit of a loop and notes so in a local, by which it releases the
    lock after the loop. Paths are therefore told apart by the constants that locals hold on them, up to MAX_PATHS.
    """
    if code.held is not None:
        return code.held
    live = live_masks(code)
    constants = code.constant_registers()
    tested = _decisive(code, constants)
    onward = _next_of_note(code, tested)
    follow = [tuple([onward[j] for j in after]) for after in successors(code)]
    size = len(code.instrs)
    states: list[set[_Path]] = [set() for _ in range(size + 1)]
    if not size:
        return []
    states[0].add(_Path())
    todo = [(0, _Path())]
    changing = [
        i.op in (Op.ACQUIRE, Op.RELEASE) or (i.dest is not None and i.dest.number in tested) for i in code.instrs
    ]
    while todo:
        i, path = todo.pop()
        instr = code.instrs[i]
        advanced = _advance(instr, path, constants) if changing[i] else path
        for j in _taken(instr, follow[i], path, constants) if instr.op in BRANCHES else follow[i]:
            after = advanced
            if after.values and any(not live[j] >> r & 1 for r, _ in after.values):
                after = after._replace(values=frozenset(v for v in after.values if live[j] >> v[0] & 1))
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
    code.reached = frozenset(i for i, paths in enumerate(states) if paths)
    shared: dict[object, tuple[Held, frozenset[str]]] = {}
    code.held = [shared.setdefault(path[:2], path[:2]) for path in (_meet(tuple(s)) for s in states[:-1])]
    return code.held


def stray_releases(code: Code) -> set[int]:
    """Return the releases of one lock, by instruction index, before which no path takes it without releasing it.

    A forward analysis, for what may be held. Releases that no path of locks_held() gets to are left out.
    """
    locks_held(code)
    numbers: dict[Ref, int] = defaultdict(lambda: 1 << len(numbers))
    uses = [
        sum(numbers[lock] for lock in set(instr.lock.locks)) if instr.op in (Op.ACQUIRE, Op.RELEASE) else 0
        for instr in code.instrs
    ]
    follow = successors(code)
    held = [-1] * (len(code.instrs) + 1)
    """By instruction: a bit for each lock that may be held before it; -1 if no path to it is known yet."""
    todo = [0] if code.instrs else []
    held[0] = 0
    while todo:
        i = todo.pop()
        op = code.instrs[i].op
        after = held[i] | uses[i] if op == Op.ACQUIRE else held[i] & ~uses[i] if op == Op.RELEASE else held[i]
        for j in follow[i]:
            if held[j] == -1 or after & ~held[j]:
                held[j] = after if held[j] == -1 else held[j] | after
                todo.append(j)
    return {
        i
        for i, instr in enumerate(code.instrs)
        if instr.op == Op.RELEASE and len(instr.lock.locks) == 1 and i in code.reached and not held[i] & uses[i]
    }


def _next_of_note(code: Code, tested: set[int]) -> list[int]:
    """Return, for each instruction, the first one from there on that changes a _Path or depends on it."""
    onward = list(range(len(code.instrs) + 1))
    for i in range(len(code.instrs) - 1, -1, -1):
        instr = code.instrs[i]
        if instr.op not in NOTED and (instr.dest is None or instr.dest.number not in tested):
            onward[i] = onward[i + 1]
    return onward


NOTED = FINAL | JUMPS | {Op.EVENT, Op.ACQUIRE, Op.RELEASE}
"""Operations that change a _Path, depend on it, or have other successors than the next instruction."""
FOLLOWED = frozenset({Op.MOVE, Op.NOT, Op.EQ, Op.NE, Op.LT, Op.LE})
"""Operations that are evaluated along a path; all others give an unknown value."""


def _meet(paths: tuple[_Path, ...]) -> _Path:
    """Return what holds on all of the paths."""
    if not paths:
        return _Path()
    first, *others = paths
    if not others:
        return first
    held, classes, values = first.held, first.classes, first.values
    for other in others:
        held, classes, values = held & other.held, classes & other.classes, values & other.values
    return _Path(held, classes, values)


def _advance(instr: Instr, path: _Path, constants: dict[int, int]) -> _Path:
    """Return what holds after an instruction that takes or releases a lock, or writes a register that is followed."""
    if instr.op == Op.ACQUIRE:
        use = instr.lock
        held = path.held | {(use.locks[0], use.exclusive)} if use.excludes and len(use.locks) == 1 else path.held
        return _Path(held, path.classes | {use.name}, path.values)
    if instr.op == Op.RELEASE:
        use = instr.lock
        gone = set(use.locks)
        return _Path(frozenset(h for h in path.held if h[0] not in gone), path.classes - {use.name}, path.values)
    assert instr.dest is not None
    values = {pair for pair in path.values if pair[0] != instr.dest.number}
    if instr.op in FOLLOWED:
        known = dict(path.values)
        operands = [known.get(r.number, constants.get(r.number)) for r in instr.reads]
        if None not in operands:
            values.add((instr.dest.number, EVALUATE[instr.op](*operands)))
    return _Path(path.held, path.classes, frozenset(values))


def _decisive(code: Code, constants: dict[int, int]) -> set[int]:
    """Return the registers whose every definition is a constant, a copy or a comparison of such registers."""
    inputs: dict[int, set[int]] = defaultdict(set)
    opaque: set[int] = set()
    for instr in code.instrs:
        if instr.dest is not None:
            if instr.op in FOLLOWED:
                inputs[instr.dest.number] |= {r.number for r in instr.reads} - constants.keys()
            else:
                opaque.add(instr.dest.number)
    while True:
        more = {target for target, sources in inputs.items() if target not in opaque and sources & opaque}
        if not more:
            return inputs.keys() - opaque
        opaque |= more


def _taken(instr: Instr, follow: tuple[int, ...], path: _Path, constants: dict[int, int]) -> tuple[int, ...]:
    """Return the successors of a branch that are possible on a path: one, where the register that it tests is known."""
    register = instr.condition.number
    known = dict(path.values).get(register, constants.get(register))
    if known is not None:
        jumps = (known == 0) == (instr.op == Op.JZ)
        return (follow[1],) if jumps else (follow[0],)
    return follow
