# SPDX-License-Identifier: GPL-2.0-only
"""What is checked: a world of records, and the actors that run in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pfncache.check.ir import Column, Ref, Variable
from pfncache.lang.records import Record


@dataclass(frozen=True)
class Call:
    """One operation of an actor: a model function with its arguments, all of them known."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(str, self.args))})"


@dataclass(frozen=True)
class Actor:
    """Something that runs by itself: a vCPU, a system call, an interrupt.

    ``interrupts`` names the actor whose CPU this one borrows: once it has started, the other stands still. An
    ``endless`` actor makes its calls again and again, and never ends.
    """

    name: str
    task: Record
    calls: tuple[Call, ...]
    interrupts: str | None = None
    endless: bool = False


@dataclass(frozen=True)
class System:
    """A closed system: every record, every actor, and what is asked when all of them are done, if they ever are."""

    actors: tuple[Actor, ...]
    kernel: Any
    at_end: Call | None = None

    @property
    def is_endless(self) -> bool:
        """Whether some actor never ends: counters that would grow for ever wrap."""
        return any(actor.endless for actor in self.actors)


@dataclass
class Heap:
    """Every record of a system, numbered within its class from 1 (0 is None)."""

    pools: dict[type[Record], list[Record]] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, system: System) -> Heap:
        """Find the records that the actors and the kernel can reach."""
        heap = cls()
        seen: set[int] = set()
        todo: list[Any] = [system.kernel, *(actor.task for actor in system.actors)]
        for actor in system.actors:
            for call in actor.calls:
                todo.extend(call.args)
        if system.at_end is not None:
            todo.extend(system.at_end.args)
        todo.reverse()
        while todo:
            thing = todo.pop()
            if isinstance(thing, tuple | list):
                todo.extend(reversed(thing))
            elif isinstance(thing, Record) or thing is system.kernel:
                if id(thing) in seen:
                    continue
                seen.add(id(thing))
                if isinstance(thing, Record):
                    pool = heap.pools.setdefault(type(thing), [])
                    pool.append(thing)
                    heap.numbers[id(thing)] = len(pool)
                inner = [value for name, value in vars(thing).items() if name != "slab_owner"]
                todo.extend(value for value in reversed(inner) if isinstance(value, Record | tuple | list))
        return heap

    def fingerprint(self) -> tuple[object, ...]:
        """Every record with its name and the values of its scalars: equal for two worlds that were built alike."""
        return tuple(
            (kind.__name__, record.record_name, *(str(record.__dict__[name]) for name in kind.fields))
            for kind, pool in self.pools.items()
            for record in pool
        )

    def ref(self, record: Record) -> Ref:
        """What stands for `record` in step code."""
        return Ref(type(record), self.numbers[id(record)])

    def variable(self, record: Record, name: str) -> Variable:
        """What stands for a scalar of `record` in step code."""
        return Variable(type(record), self.numbers[id(record)], name)

    def variables(self, column: Column) -> list[Variable]:
        """The variables of a column, by record number from 1."""
        return [Variable(column.kind, n + 1, column.name) for n in range(len(self.pools.get(column.kind, ())))]

    def holder(self, variable: Variable) -> Record:
        """The record that has a variable."""
        return self.pools[variable.kind][variable.number - 1]

    def text(self, variable: Variable) -> str:
        """A variable in words."""
        return f"{self.holder(variable)}.{variable.name}"

    def initial(self, variable: Variable) -> int:
        """What a variable starts as, as a number."""
        value = self.holder(variable).__dict__[variable.name]
        return int(value) if isinstance(value, int) else self.number(value)

    def number(self, record: Record | None) -> int:
        """The number that stands for `record` in a compiled state."""
        return 0 if record is None else self.numbers[id(record)]

    def record(self, kind: type[Record], number: int) -> Record | None:
        """The record of class `kind` that `number` stands for."""
        return None if number == 0 else self.pools[kind][number - 1]
