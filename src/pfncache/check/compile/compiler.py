# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the actors of a system from the source of the model."""

from __future__ import annotations

from dataclasses import dataclass
from types import FunctionType
from typing import cast

from pfncache.check.code import Code
from pfncache.check.compile.emitter import Frame
from pfncache.check.compile.facts import SystemFacts
from pfncache.check.compile.function_code import FunctionCode
from pfncache.check.compile.memo import Memo
from pfncache.check.compile.queries import Queries
from pfncache.check.compile.source import function_source
from pfncache.check.compile.statements import Statements
from pfncache.check.compile.unit import Unit
from pfncache.check.compile.values import NONE, Const, Method, Value
from pfncache.check.compile.writes import Assumed, Written
from pfncache.check.ops import Op
from pfncache.check.system import Actor, Call, Heap, System


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
    """Compile every actor of `system`, with what `memo` has of other systems that is valid here.

    For `coverage`, each line is a target.

    Scalars that no actor writes are constants. Which ones are written is a least fixed point: an actor is compiled
    again until nothing that was taken for a constant turns out to be written, as a constant may close a branch that
    writes another scalar. What does not depend on that is taken from the memo each time.
    """
    memo = memo or Memo()
    memo.limit()
    facts = SystemFacts(Queries(system), memo.facts, memo.keys)
    assumed = Assumed(memo.places, facts.queries.heap)
    found: dict[int, FunctionCode] = {}
    outdated = list(range(len(system.actors)))
    while outdated:
        for number in outdated:
            actor = system.actors[number]
            facts.run_as(actor.task)
            found[number] = _compile(Unit(memo, facts, assumed, coverage), actor)
            assumed.add(found[number].writes)
        outdated = [n for n, code in found.items() if assumed.varying & code.asked != code.varying]
    codes = list(found.values())
    seen = assumed.copy()
    if system.at_end is not None:  # the actors do not see what it writes
        facts.run_as(system.at_end_task)
        while True:
            end = _compile(Unit(memo, facts, seen), system.at_end)
            seen.add(end.writes)
            if seen.varying & end.asked == end.varying:
                break
        codes.append(end)
    return Compiled(
        system=system,
        heap=facts.queries.heap,
        written=assumed.written(),
        written_at_end=seen.written(),
        codes=[memo.code(code.body) for code in codes],
        used=frozenset(name for code in codes for name in memo.names.things(code.used)),
    )


def _compile(unit: Unit, actor: Actor | Call) -> FunctionCode:
    """Return the code of an actor, or of the check at the end: from the memo, if it has code that is valid."""
    key = unit.coverage, unit.queries.start(actor)
    code = unit.find(key)
    if code is None:
        code = _compile_calls(unit, actor)
        unit.memo.keep(key, code)
    return code


def _compile_calls(unit: Unit, actor: Actor | Call) -> FunctionCode:
    at_end, endless = isinstance(actor, Call), isinstance(actor, Actor) and actor.endless
    compiler = Statements(unit)
    compiler.at_end, compiler.atomic_depth = at_end, int(at_end)
    again = compiler.new_label()
    if endless:
        compiler.labels_used.add(again)
        compiler.place(again)
    for call, turns in _repeated(actor.calls if isinstance(actor, Actor) else (actor,)):
        bottom = function_source(cast(FunctionType, _bottom))
        compiler.frames = [Frame(bottom, None, None, {}, compiler.new_label(), 0, None)]
        unit.use(call.function.__name__)
        into = unit.heap.variable(call.result, "returned") if call.result is not None else None
        compiler.repeat(turns, _target(unit, call), [Const(a) for a in call.args], call.target, into)
    compiler.jump(again) if endless else compiler.emit(Op.HALT)
    return compiler.code.finished(unit, NONE, ends=False)


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
            query = unit.queries.member_of(receiver, name)
            unit.depend_on(*query)
            return Method(owner.__dict__[name], Const(receiver), owner, query)
    raise AttributeError(name)


def _bottom() -> None:
    """Bottom of every actor's stack."""
