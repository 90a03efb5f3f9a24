# SPDX-License-Identifier: GPL-2.0-only
"""What the compiler may ask about a system, as questions whose answers can be compared with those of another system."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import fields
from types import FunctionType, MethodType
from typing import Any

from pfncache.check.compile.source import unwrap
from pfncache.check.ir import Variable
from pfncache.check.system import Actor, Call, Heap, System
from pfncache.lang.records import Record

Question = tuple[Any, ...]
"""A method of Facts, and its arguments."""
PLAIN = (bool, int, str, type(None), range)
MARKS = ("is_atomic", "is_guard", "is_host_only")


class Same:
    """A thing as itself: equal to nothing else, whatever the thing thinks of it."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class Facts:
    """A system without its actors.

    An answer is a word: a value that is equal to that of another system when the two mean the same to the compiler.
    Records are meant by class and number, the kernel is meant as such, a function by its code and by what it can reach,
    and whatever else there may be by its identity.
    """

    def __init__(self, system: System) -> None:
        self.kernel = system.kernel
        self.heap = Heap.of(system)
        self.endless = system.is_endless
        """Some actor is: counters wrap."""
        self._answers: dict[Question, Any] = {}
        self._found: dict[Question, tuple[tuple[type, ...], int]] = {}
        self._shape = tuple((kind, tuple(map(self._build, pool))) for kind, pool in self.heap.pools.items())

    def start(self, actor: Actor | Call) -> Question:
        """What compiling an actor begins with: how records are built and numbered, and what it does."""
        return self._shape, self.endless, self.word(actor)

    def _build(self, record: Record) -> tuple[Any, ...]:
        parts = (self.word(record.__dict__[name]) for name in type(record).parts)
        return record.role, self.word(record.slab_owner), *parts

    def answer(self, question: Question) -> Any:
        """The answer to a question."""
        if question not in self._answers:
            self._answers[question] = question[0](self, *question[1:])
        return self._answers[question]

    # Questions

    def scalar(self, variable: Variable) -> Any:
        """What a scalar starts as."""
        return self.word(self.heap.holder(variable).__dict__[variable.name])

    def named(self, function: FunctionType, name: str) -> Any:
        """What a name that is no local means in a function."""
        if name in function.__globals__:
            return self.word(function.__globals__[name])
        if hasattr(builtins, name):
            return self.word(getattr(builtins, name))
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        return self.word(cells[name].cell_contents) if name in cells else None

    def member(self, holder: Same | None, name: str) -> Any:
        """A member of the kernel (None), or of anything else that is no record; of a function, its meaning."""
        base = self.kernel if holder is None else holder.thing
        if isinstance(getattr(type(base), name, None), FunctionType):
            return self._method(type(base).__mro__, 0, name, (Facts.member, holder, name))
        return self.word(getattr(base, name)) if hasattr(base, name) else None

    def method(self, kind: type[Record], name: str) -> Any:
        """A method of a class of records."""
        return self._method(kind.__mro__, 0, name, (Facts.method, kind, name))

    def above(self, below: Question | None, name: str) -> Any:
        """What super() finds in a method that `below` has found."""
        if below is None or self.answer(below) is None:
            return None
        line, position = self._found[below]
        return self._method(line, position + 1, name, (Facts.above, below, name))

    def member_of(self, value: Any, name: str) -> Question:
        """The question for a member of a value."""
        return Facts.member, None if value is self.kernel else Same(value), name

    def _method(self, line: tuple[type, ...], start: int, name: str, question: Question) -> Any:
        for position in range(start, len(line)):
            if name in line[position].__dict__:
                self._found[question] = line, position
                return self.word(line[position].__dict__[name])
        return None

    # Words

    def word(self, value: Any) -> Any:
        """A value in a word."""
        if type(value) in PLAIN:
            return type(value), value
        if isinstance(value, Record):
            number = self.heap.numbers.get(id(value))
            return (type(value), number) if number is not None else Same(value)
        if value is self.kernel:
            return Facts
        if isinstance(value, tuple | list):
            return type(value), *map(self.word, value)
        if isinstance(value, Actor | Call):
            return type(value), *(self.word(getattr(value, f.name)) for f in fields(value))
        if isinstance(value, MethodType):
            return MethodType, value.__name__, self.word(value.__self__), self.word(value.__func__)
        plain = unwrap(value) if callable(value) or isinstance(value, staticmethod) else None
        return self._meaning(value, plain) if isinstance(plain, FunctionType) else Same(value)

    def _meaning(self, function: Callable[..., Any], plain: FunctionType) -> Any:
        """A function in a word. The class that super() starts from is another in each kernel, and asked for apart."""
        cells = zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True)
        return (
            type(function), *(getattr(function, mark, False) for mark in MARKS), Same(plain.__code__),
            Same(plain.__globals__), self.word(plain.__defaults__),
            *(self.word(cell.cell_contents) for name, cell in cells if name != "__class__"),
        )  # fmt: skip
