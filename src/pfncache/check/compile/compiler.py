# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the actors of a system from the source of the model."""

from __future__ import annotations

from dataclasses import dataclass
from types import FunctionType
from typing import cast

from pfncache.check.compile.emitter import Frame, Unit
from pfncache.check.compile.memo import Memo, Piece
from pfncache.check.compile.queries import Queries
from pfncache.check.compile.source import function_source
from pfncache.check.compile.statements import Statements
from pfncache.check.compile.values import (
    Const,
    Method,
    Value,
)
from pfncache.check.compile.writes import Written
from pfncache.check.ir import Code
from pfncache.check.ops import Op
from pfncache.check.system import Actor, Call, Heap, System
from pfncache.lang.records import Record


@dataclass
class Compiled:
    """The step code of a system."""

    system: System
    heap: Heap
    written: Written
    """What the actors write."""
    written_at_end: Written
    """What the check at the end writes, in the copy of the state that it is made in."""
    codes: list[Code]
    """By actor; then the check at the end, if there is one. The code may be shared with other systems."""
    used: frozenset[str]
    """Names of the kernel's functions that the code is compiled from."""


def compile_system(system: System, memo: Memo | None = None, coverage: bool = False) -> Compiled:
    """Compile every actor of `system`, or take from `memo` code of another system that is valid here.

    For `coverage`, each line is a target; `memo` then has code that was compiled so, too.

    Scalars that no actor writes are constants. Which ones are written is a least fixed point: an actor is compiled
    again until nothing that was taken for a constant turns out to be written, as a constant may close a branch that
    writes another scalar.
    """
    memo = memo or Memo()
    queries = Queries(system)
    written = Written()
    pieces: dict[int, Piece] = {}
    outdated = list(range(len(system.actors)))
    while outdated:
        before = len(written)
        for number in outdated:
            if (piece := memo.find(queries, written, system.actors[number])) is not None:
                pieces[number] = piece
                written.add(piece.own)
        missing = [n for n in outdated if n not in pieces or not pieces[n].holds(written)]
        for number in missing:
            memo.extend(queries, written, system.actors[number])
        if missing and len(written) == before:
            number = next((n for n in missing if n not in pieces), missing[0])
            pieces[number] = _compile(queries, written, system.actors[number], memo, coverage)
            written.add(pieces[number].own)
        outdated = [n for n in range(len(system.actors)) if n not in pieces or not pieces[n].holds(written)]
    at_end = Written()
    if system.at_end is not None:
        pieces[len(system.actors)] = end = _compile_end(queries, written, system.at_end, memo)
        at_end.add(end.own)
    ordered = [pieces[number] for number in sorted(pieces)]
    used = frozenset[str]().union(*(piece.used for piece in ordered))
    return Compiled(system, queries.heap, written, at_end, [piece.code for piece in ordered], used)


def _compile_end(queries: Queries, written: Written, call: Call, memo: Memo) -> Piece:
    """Return the code of the check at the end, beside actors that write `written`.

    It is compiled again until nothing that was taken for a constant turns out to be written by the check itself. The
    actors do not see what it writes.
    """
    seen = Written()
    seen.add(written)
    while True:
        end = memo.find(queries, seen, call) or _compile(queries, seen, call, memo, coverage=False)
        seen.add(end.own)
        if end.holds(seen):
            return end


def _compile(queries: Queries, written: Written, actor: Actor | Call, memo: Memo, coverage: bool) -> Piece:
    unit = Unit(queries, written, coverage)
    if isinstance(actor, Actor):
        code = _compile_calls(unit, actor.task, actor.calls, endless=actor.endless)
    else:
        code = _compile_calls(unit, queries.at_end_task, (actor,), at_end=True)
    piece = Piece(
        code=code,
        own=unit.own,
        used=frozenset(unit.used),
        write_dependencies=tuple(unit.write_dependencies.items()),
        dependencies=tuple(unit.dependencies.items()),
    )
    memo.keep(queries, actor, piece)
    return piece


def _compile_calls(
    unit: Unit, task: Record | None, calls: tuple[Call, ...], at_end: bool = False, endless: bool = False
) -> Code:
    compiler = Statements(unit, task)
    compiler.at_end, compiler.atomic_depth = at_end, int(at_end)
    again = compiler.new_label()
    if endless:
        compiler.labels_used.add(again)
        compiler.place(again)
    for call, turns in _repeated(calls):
        bottom = function_source(cast(FunctionType, _bottom))
        compiler.frames = [Frame(bottom, None, {}, compiler.new_label(), 0, None)]
        unit.used.add(call.function.__name__)
        into = unit.heap.variable(call.result, "returned") if call.result is not None else None
        compiler.repeat(turns, _target(unit, call), [Const(a) for a in call.args], call.target, into)
    compiler.jump(again) if endless else compiler.emit(Op.HALT)
    return compiler.code


def _repeated(calls: tuple[Call, ...]) -> list[tuple[Call, int]]:
    """Return the calls with the number of times that each is repeated: these become a loop."""
    found: list[tuple[Call, int]] = []
    for call in calls:
        if found and found[-1][0] == call:
            found[-1] = (call, found[-1][1] + 1)
        else:
            found.append((call, 1))
    return found


def _target(unit: Unit, call: Call) -> Value:
    receiver = getattr(call.function, "__self__", None)
    if receiver is None:
        return Const(call.function)
    name = call.function.__name__
    for owner in type(receiver).__mro__:
        if name in owner.__dict__:
            unit.find(unit.queries.member_of(receiver, name), type(receiver), owner)
            return Method(owner.__dict__[name], Const(receiver), owner)
    raise AttributeError(name)


def _bottom() -> None:
    """Bottom of every actor's stack."""
