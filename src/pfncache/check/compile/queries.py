# SPDX-License-Identifier: GPL-2.0-only
"""What the compiler reads of a system, as queries whose answers can be compared with those of another system."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import fields
from types import FunctionType, MethodType
from typing import Any

from pfncache.check.compile.source import unwrap
from pfncache.check.compile.values import RefKind
from pfncache.check.ir import Variable
from pfncache.check.system import Actor, Call, Heap, System
from pfncache.lang.records import Record

Query = tuple[Any, ...]
"""A method of Queries, and its arguments."""
PLAIN = (bool, int, str, type(None), range)
"""Types whose values are their own keys."""
MARKS = ("is_atomic", "is_guard", "is_host_only")
"""Attributes of a function that change how it is compiled."""


class Identity:
    """An object compared by identity, whatever its own __eq__ says."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class Queries:
    """A system without its actors.

    An answer is a key: it equals the key from another system if and only if the two values mean the same to the
    compiler. The key of a record is its class and number, that of the kernel is the same in every system, that of a
    function is its code and what the code refers to, and that of any other object is its identity.
    """

    def __init__(self, system: System) -> None:
        self.kernel = system.kernel
        self.heap = Heap.of(system)
        self.task: Record | None = None
        """The task that runs the code that is compiled."""
        self.endless = system.is_endless
        """Some actor is an environment actor: counters wrap."""
        self._found: dict[Query, tuple[tuple[type, ...], int]] = {}
        self._keys: dict[int, tuple[Any, Any]] = {}
        """Keys of functions and other objects by id, with the object."""

    def start(self, actor: Actor | Call) -> Query:
        """Return what the compilation of an actor, or of the check at the end, begins with: its calls."""
        calls = actor.calls if isinstance(actor, Actor) else (actor,)
        return isinstance(actor, Actor), isinstance(actor, Actor) and actor.endless, self.endless, self.key(calls)

    def answer(self, query: Query) -> Any:
        """Return the answer to a query; None if it is about something that the system does not have."""
        return query[0](self, *query[1:])

    # Queries

    def running(self) -> Any:
        """Key of the task that runs the code."""
        return self.key(self.task)

    def scalar(self, variable: Variable) -> Any:
        """Key of the initial value of a scalar."""
        return self.part(variable.kind, variable.number, variable.name)

    def part(self, kind: type[Record], number: int, name: str) -> Any:
        """Key of the initial value of a member of a record."""
        record = self._record(kind, number)
        return self.key(record.__dict__.get(name)) if record is not None else None

    def slab_owner(self, kind: type[Record], number: int) -> Any:
        """Key of the dynamically allocated record that a record is a part of."""
        record = self._record(kind, number)
        return self.key(record.slab_owner) if record is not None else None

    def role(self, kind: type[Record], number: int) -> Any:
        """Return the role of a record."""
        record = self._record(kind, number)
        return record.role if record is not None else None

    def size(self, kind: type[Record]) -> int:
        """Return the number of records of a class."""
        return len(self.heap.pools.get(kind, ()))

    def extension(self, kind: type[Record]) -> type[Record]:
        """Return the class of records that stands for `kind` in the system."""
        found = self.heap.kind(RefKind(kind))
        assert isinstance(found, RefKind)
        return found.record

    def _record(self, kind: type[Record], number: int) -> Record | None:
        pool = self.heap.pools.get(kind, ())
        return pool[number - 1] if number <= len(pool) else None

    def named(self, function: FunctionType, name: str) -> Any:
        """Key of what a name that is not a local refers to in a function."""
        if name in function.__globals__:
            return self.key(function.__globals__[name])
        if hasattr(builtins, name):
            return self.key(getattr(builtins, name))
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        return self.key(cells[name].cell_contents) if name in cells else None

    def member(self, holder: Identity | None, name: str) -> Any:
        """Key of a member of the kernel (None), or of an object that is not a record."""
        base = self.kernel if holder is None else holder.thing
        if isinstance(getattr(type(base), name, None), FunctionType):
            return self._method(type(base).__mro__, 0, name, (Queries.member, holder, name))
        return self.key(getattr(base, name)) if hasattr(base, name) else None

    def method(self, kind: type[Record], name: str) -> Any:
        """Key of a method of a class of records."""
        return self._method(kind.__mro__, 0, name, (Queries.method, kind, name))

    def above(self, below: Query | None, name: str) -> Any:
        """Key of what super() finds in the method that the query `below` has found."""
        if below is None or self.answer(below) is None:
            return None
        line, position = self._found[below]
        return self._method(line, position + 1, name, (Queries.above, below, name))

    def member_of(self, value: Any, name: str) -> Query:
        """Return the query for a member of a value."""
        return Queries.member, None if value is self.kernel else Identity(value), name

    def _method(self, line: tuple[type, ...], start: int, name: str, query: Query) -> Any:
        for position in range(start, len(line)):
            if name in line[position].__dict__:
                self._found[query] = line, position
                return self.key(line[position].__dict__[name])
        return None

    # Keys

    def key(self, value: Any) -> Any:
        """Return the key of a value."""
        if type(value) in PLAIN:
            return type(value), value
        if isinstance(value, Record):
            number = self.heap.numbers.get(id(value))
            return (type(value), number) if number is not None else Identity(value)
        if value is self.kernel:
            return Queries
        known = self._keys.get(id(value))
        if known is None:
            known = self._keys[id(value)] = value, self._key(value)
        return known[1]

    def _key(self, value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value), *map(self.key, value)
        if isinstance(value, Actor | Call):
            return type(value), *(self.key(getattr(value, f.name)) for f in fields(value))
        if isinstance(value, MethodType):
            return MethodType, value.__name__, self.key(value.__self__), self.key(value.__func__)
        plain = unwrap(value) if callable(value) or isinstance(value, staticmethod) else None
        return self._function_key(value, plain) if isinstance(plain, FunctionType) else Identity(value)

    def _function_key(self, function: Callable[..., Any], plain: FunctionType) -> Any:
        """Key of a function. The class that super() starts from differs in each kernel, and has a query of its own."""
        cells = zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True)
        return (
            type(function), *(getattr(function, mark, False) for mark in MARKS), Identity(plain.__code__),
            Identity(plain.__globals__), self.key(plain.__defaults__),
            *(self.key(cell.cell_contents) for name, cell in cells if name != "__class__"),
        )  # fmt: skip
