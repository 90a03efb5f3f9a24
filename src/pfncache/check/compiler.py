# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the actors of a system from the source of the model."""

from __future__ import annotations

from dataclasses import dataclass
from types import FunctionType
from typing import cast

from pfncache.check.emitter import Frame, Unit, Written
from pfncache.check.ir import Code, Op
from pfncache.check.source import function_source
from pfncache.check.statements import Statements
from pfncache.check.system import Call, Heap, System
from pfncache.check.values import (
    Const,
    Method,
    Value,
)
from pfncache.kernel.model import Record


@dataclass
class Compiled:
    """The step code of a system."""

    system: System
    heap: Heap
    written: Written
    codes: list[Code]
    """By actor; then, when there is one, what runs at the end."""
    constants: dict[int, int]
    """Number to the register that holds it."""
    registers: int
    used: frozenset[str]
    """Names of the kernel's functions that the code comes from."""

    def constant_registers(self) -> dict[int, int]:
        """Register to the number that it holds for ever."""
        return {register: value for value, register in self.constants.items()}


def compile_system(system: System) -> Compiled:
    """Compile every actor of `system`.

    Scalars that nobody writes are constants. What is written is found by compiling an actor again until nothing that
    was taken for a constant turns out to be written: a constant may close a branch in which another scalar would be.
    """
    heap = Heap.of(system)
    unit = Unit(heap, Written(), system.is_endless)
    codes = [Code() for _ in system.actors]
    unit.outdated = set(range(len(codes)))
    while unit.outdated:
        for number in sorted(unit.outdated):
            unit.outdated.discard(number)
            unit.actor = number
            actor = system.actors[number]
            codes[number] = _compile_calls(unit, actor.task, actor.calls, endless=actor.endless)
    if system.at_end is not None:
        codes.append(_compile_calls(unit, None, (system.at_end,), atomic=True))
    return Compiled(system, heap, unit.written, codes, unit.constants, unit.registers, frozenset(unit.used))


def _compile_calls(
    unit: Unit, task: Record | None, calls: tuple[Call, ...], atomic: bool = False, endless: bool = False
) -> Code:
    compiler = Statements(unit, task)
    compiler.atomic_depth = int(atomic)
    again = compiler.new_label()
    if endless:
        compiler.labels_used.add(again)
        compiler.place(again)
    for call, turns in _repeated(calls):
        bottom = function_source(cast(FunctionType, _bottom))
        compiler.frames = [Frame(bottom, None, {}, compiler.new_label(), 0, None)]
        unit.used.add(call.function.__name__)
        compiler.repeat(turns, _target(call), [Const(a) for a in call.args])
    compiler.emit(Op.JUMP, again) if endless else compiler.emit(Op.HALT)
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


def _target(call: Call) -> Value:
    receiver = getattr(call.function, "__self__", None)
    if receiver is None:
        return Const(call.function)
    name = call.function.__name__
    for owner in type(receiver).__mro__:
        if name in owner.__dict__:
            return Method(owner.__dict__[name], Const(receiver), owner)
    raise AttributeError(name)


def _bottom() -> None:
    """Stands at the bottom of every actor's stack."""
