# SPDX-License-Identifier: GPL-2.0-only
"""Values that cross a call: arguments, whose keys are what the callee's code depends on, and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pfncache.check.compile.values import Const, Kind, Method, Parts, Reg, Super, Tuple, Value
from pfncache.check.ir import Ref
from pfncache.check.system import Heap
from pfncache.lang.records import Array, Record

CONSTANTS = (bool, int, str, type(None), range)
"""Types of constants that mean the same in every system."""


class PassedArguments:
    """The values that a call is given. The callee numbers their registers from 0."""

    def __init__(self, kinds: Mapping[int, Kind], key_of: Callable[[Any], object]) -> None:
        """Take the kinds of the caller's registers, and what returns the key of a constant."""
        self.registers: list[Reg] = []
        """The caller's registers."""
        self.kinds: list[Kind] = []
        """The joins of the kinds of all values that were assigned to them."""
        self._kinds = kinds
        self._key_of = key_of
        self._numbers: dict[int, int] = {}

    def take(self, value: Value) -> tuple[Value, object]:
        """Return a value as the callee sees it, and its key: the callee's code is the same for equal keys."""
        if isinstance(value, Const):
            return value, (Const, self._key_of(value.value))
        if isinstance(value, Reg):
            return self._register(value)
        if isinstance(value, Tuple):
            taken = [self.take(item) for item in value.items]
            return Tuple(tuple(item for item, _ in taken)), (Tuple, *(key for _, key in taken))
        if isinstance(value, Parts):
            owner, key = self._register(value.owner)
            return replace(value, owner=owner), (Parts, key, self._key_of(value.rows))
        receiver, key = self.take(value.receiver)
        found = value.query, value.owner
        if isinstance(value, Method):
            return replace(value, receiver=receiver), (Method, self._key_of(value.function), found, key)
        return replace(value, receiver=receiver), (Super, found, key)

    def _register(self, register: Reg) -> tuple[Reg, object]:
        number = self._numbers.get(register.number)
        if number is None:
            number = self._numbers[register.number] = len(self.registers)
            self.registers.append(register)
            self.kinds.append(self._kinds.get(register.number, register.kind))
        return register._replace(number=number), (Reg, number, register.kind, self.kinds[number], register.variable)


def registers_of(value: Value) -> Iterator[Reg]:
    """Yield the registers of a value."""
    if isinstance(value, Reg):
        yield value
    elif isinstance(value, Tuple):
        for item in value.items:
            yield from registers_of(item)
    elif isinstance(value, Parts):
        yield value.owner
    elif isinstance(value, Method | Super):
        yield from registers_of(value.receiver)


def renumbered(value: Value, registers: Mapping[int, Reg]) -> Value:
    """Return a value with other registers."""
    if isinstance(value, Reg):
        return registers[value.number]
    if isinstance(value, Tuple):
        return Tuple(tuple(renumbered(item, registers) for item in value.items))
    if isinstance(value, Parts):
        return replace(value, owner=registers[value.owner.number])
    if isinstance(value, Method | Super):
        return replace(value, receiver=renumbered(value.receiver, registers))
    return value


def abstract(value: Value, heap: Heap) -> Value | None:
    """Return a result with records named by Ref, as in every system; None if it has something else of this system."""
    if isinstance(value, Reg):
        return value
    if isinstance(value, Const):
        named = _abstract(value.value, heap)
        return Const(named[0]) if named is not None else None
    if isinstance(value, Tuple):
        items = [abstract(item, heap) for item in value.items]
        return None if None in items else Tuple(tuple(item for item in items if item is not None))
    return None


def concrete(value: Value, heap: Heap) -> Value:
    """Return a result with the records of a system."""
    if isinstance(value, Const):
        return Const(_concrete(value.value, heap))
    if isinstance(value, Tuple):
        return Tuple(tuple(concrete(item, heap) for item in value.items))
    return value


def _abstract(value: Any, heap: Heap) -> tuple[Any] | None:
    if type(value) in CONSTANTS:
        return (value,)
    if isinstance(value, Record):
        return (heap.ref(value),) if id(value) in heap.numbers else None
    if type(value) in (tuple, Array):
        items = [_abstract(item, heap) for item in value]
        return None if None in items else (type(value)(item[0] for item in items if item is not None),)
    return None


def _concrete(value: Any, heap: Heap) -> Any:
    if isinstance(value, Ref):
        return heap.record(value.kind, value.number)
    return type(value)(_concrete(item, heap) for item in value) if type(value) in (tuple, Array) else value
