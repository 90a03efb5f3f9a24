# SPDX-License-Identifier: GPL-2.0-only
"""What can be known of step code without running it: liveness, and locks held."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from pfncache.check.compile.values import Reg
from pfncache.check.ir import READS, WRITES_D, Code, Instr, LockUse, Op, Ref

Held = frozenset[tuple[Ref, bool]]
"""Locks held for certain: the lock record, and whether exclusively."""


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


def live_registers(code: Code) -> dict[int, list[int]]:
    """The registers whose value is still needed, at each event, by instruction index."""
    live = live_masks(code)
    return {i: bits_of(live[i]) for i, instr in enumerate(code.instrs) if instr.op == Op.EVENT}


def live_masks(code: Code) -> list[int]:
    """Before each instruction, the registers whose value is still needed, as bits."""
    if code.live is not None:
        return code.live
    constants = code.constant_registers()
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
    live = backwards(successors(code), uses, defines, [0] * len(uses), [False] * len(uses))
    shared: dict[int, int] = {}
    code.live = [shared.setdefault(mask, mask) for mask in live]
    return code.live


def backwards(
    follow: list[tuple[int, ...]], gains: list[int], kills: list[int], ends: list[int], stops: list[bool]
) -> list[int]:
    """Before each instruction: its gains, and what is there after it without what it kills; nothing crosses a stop."""
    found = [0] * len(gains)
    changed = True
    while changed:
        changed = False
        for i in range(len(gains) - 1, -1, -1):
            if stops[i]:
                continue
            after = ends[i]
            for j in follow[i]:
                after |= found[j]
            before = gains[i] | (after & ~kills[i])
            if before != found[i]:
                found[i] = before
                changed = True
    return found


def bits_of(mask: int) -> list[int]:
    """The numbers of the bits that are set, lowest first."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


class _Path(NamedTuple):
    """What is known on one way to an instruction: locks held, their lockdep classes, constant registers."""

    held: Held = frozenset()
    classes: frozenset[str] = frozenset()
    values: frozenset[tuple[int, int]] = frozenset()


MAX_PATHS = 8


def locks_held(code: Code) -> list[tuple[Held, frozenset[str]]]:
    """Before each event and lock annotation: locks held on every path to it, and the lockdep classes held.

    Linux takes a lock at the first hit of a loop and notes so in a local, by which it lets go after the loop. Paths are
    therefore told apart by the constants that locals have on them, up to MAX_PATHS of them.
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
    while todo:
        i, path = todo.pop()
        instr = code.instrs[i]
        advanced = _advance(instr, path, constants, tested)
        for j in _taken(instr, follow[i], path, constants):
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
    shared: dict[object, tuple[Held, frozenset[str]]] = {}
    code.held = [shared.setdefault(path[:2], path[:2]) for path in (_meet(tuple(s)) for s in states[:-1])]
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
    if not others:
        return first
    held, classes, values = first.held, first.classes, first.values
    for other in others:
        held, classes, values = held & other.held, classes & other.classes, values & other.values
    return _Path(held, classes, values)


def _advance(instr: Instr, path: _Path, constants: dict[int, int], tested: set[int]) -> _Path:
    if instr.op == Op.ACQUIRE:
        use = instr.args[0]
        assert isinstance(use, LockUse)
        held = path.held | {(use.locks[0], use.exclusive)} if use.excludes and len(use.locks) == 1 else path.held
        return _Path(held, path.classes | {use.name}, path.values)
    if instr.op == Op.RELEASE:
        use = instr.args[0]
        assert isinstance(use, LockUse)
        gone = set(use.locks)
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
