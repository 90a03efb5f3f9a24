# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the actors of a system from the source of the model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import cast

from pfncache.check.emitter import Frame, Unit
from pfncache.check.facts import Facts
from pfncache.check.ir import Code, Op
from pfncache.check.memo import Memo, Piece
from pfncache.check.source import function_source
from pfncache.check.statements import Statements
from pfncache.check.system import Call, Heap, System
from pfncache.check.values import (
    Const,
    Method,
    Value,
)
from pfncache.check.written import Written
from pfncache.kernel.model import Record


@dataclass
class Compiled:
    """The step code of a system."""

    system: System
    heap: Heap
    written: Written
    codes: list[Code]
    """By actor; then, when there is one, what runs at the end. Other systems may have them too."""
    used: frozenset[str]
    """Names of the kernel's functions that the code comes from."""


_memo = Memo()


def compile_system(system: System, memo: Memo = _memo) -> Compiled:
    """Compile every actor of `system`; or find in `memo` what was compiled for another system and is right here.

    Scalars that nobody writes are constants. What is written is found by compiling an actor again until nothing that
    was taken for a constant turns out to be written: a constant may close a branch in which another scalar would be.
    """
    facts = Facts(system)
    written = Written()
    pieces: dict[int, Piece] = {}
    outdated = list(range(len(system.actors)))
    while outdated:
        for number in outdated:
            actor = system.actors[number]
            compile_it = partial(_compile_calls, task=actor.task, calls=actor.calls, atomic=False)
            pieces[number] = memo.piece(facts, written, actor, compile_it)
            written.add(pieces[number].own)
        outdated = [number for number, piece in pieces.items() if not piece.holds(written)]
    if system.at_end is not None:
        compile_it = partial(_compile_calls, task=None, calls=(system.at_end,), atomic=True)
        pieces[len(system.actors)] = memo.piece(facts, written, system.at_end, compile_it)
        written.add(pieces[len(system.actors)].own)
    used = frozenset[str]().union(*(piece.used for piece in pieces.values()))
    return Compiled(system, facts.heap, written, [piece.code for piece in pieces.values()], used)


def _compile_calls(unit: Unit, task: Record | None, calls: tuple[Call, ...], atomic: bool) -> Code:
    compiler = Statements(unit, task)
    compiler.atomic_depth = int(atomic)
    for call, turns in _repeated(calls):
        bottom = function_source(cast(FunctionType, _bottom))
        compiler.frames = [Frame(bottom, None, {}, compiler.new_label(), 0, None)]
        unit.used.add(call.function.__name__)
        compiler.repeat(turns, _target(unit, call), [Const(a) for a in call.args])
    compiler.emit(Op.HALT)
    return compiler.code


def _repeated(calls: tuple[Call, ...]) -> list[tuple[Call, int]]:
    """Consecutive calls of the same, counted: they become a loop."""
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
            unit.find(unit.facts.member_of(receiver, name), type(receiver), owner)
            return Method(owner.__dict__[name], Const(receiver), owner)
    raise AttributeError(name)


def _bottom() -> None:
    """Stands at the bottom of every actor's stack."""
