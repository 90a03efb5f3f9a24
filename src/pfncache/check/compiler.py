# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the actors of a system from the source of the model."""

from __future__ import annotations

from dataclasses import dataclass
from types import FunctionType
from typing import cast

from pfncache.check.emitter import Frame, Unit, Written
from pfncache.check.ir import Code, Op
from pfncache.check.source import Location, function_source
from pfncache.check.statements import Statements
from pfncache.check.system import Actor, Call, Heap, System
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

    Scalars that nobody writes are constants. What is written is found by compiling again until nothing that was taken
    for a constant turns out to be written: a constant may close a branch in which another scalar would be written.
    """
    heap = Heap.of(system)
    written = Written()
    unit = Unit(heap, written)
    codes: list[Code] = []
    used: set[str] = set()
    while unit.outdated:
        unit = Unit(heap, written)
        unit.outdated = False
        codes = [_compile_actor(unit, actor) for actor in system.actors]
        used |= unit.used
    if system.at_end is not None:
        codes.append(_compile_calls(unit, None, (system.at_end,), atomic=True))
    return Compiled(system, heap, written, codes, unit.constants, unit.registers, frozenset(used | unit.used))


def _compile_actor(unit: Unit, actor: Actor) -> Code:
    return _compile_calls(unit, actor.task, actor.calls, atomic=False)


def _compile_calls(unit: Unit, task: Record | None, calls: tuple[Call, ...], atomic: bool) -> Code:
    compiler = Statements(unit, task)
    compiler.atomic_depth = int(atomic)
    for call, turns in _repeated(calls):
        compiler.frames = [
            Frame(
                function_source(cast(FunctionType, _bottom)),
                None,
                {},
                compiler.new_label(),
                0,
                Location("", 0, str(call)),
            )
        ]
        unit.used.add(call.function.__name__)
        compiler.repeat(turns, _target(call), [Const(a) for a in call.args])
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
