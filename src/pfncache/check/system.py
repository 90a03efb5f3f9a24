# SPDX-License-Identifier: GPL-2.0-only
"""What is checked: a world of records, and the actors that run in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pfncache.check.compile.values import Kind, RefKind
from pfncache.check.ir import Column, Ref, Variable
from pfncache.lang.call_result import CallResult
from pfncache.lang.records import Record


@dataclass(frozen=True)
class Call:
    """One operation of an actor: a model function with constant arguments."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    target: str = ""
    """The target that is reached when the operation succeeds: it returns, and not False, NULL or a negative number."""
    result: CallResult | None = None
    """Where a number that it returns is stored; no actor reads it."""
    allowed: tuple[int, ...] = ()
    """The numbers that the operation may return, for the check at the end; empty if it does not compare them."""

    def __str__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(str, self.args))})"


@dataclass(frozen=True)
class Actor:
    """A thread of control: a process, a system call, an interrupt.

    ``interrupts`` names the actor that this one interrupts: once this one has started, the other does not run until it
    has ended. An ``endless`` actor is an environment actor: it loops forever over its calls.
    """

    name: str
    task: Record
    calls: tuple[Call, ...]
    interrupts: str | None = None
    endless: bool = False


@dataclass(frozen=True)
class System:
    """A closed system: every record, every actor, and the check that is made once all actors have ended."""

    actors: tuple[Actor, ...]
    kernel: Any
    at_end: Call | None = None
    """It is one step that is made in each end state and changes nothing; it must not block."""
    at_end_task: Record | None = None
    """The task that makes it."""
    targets: tuple[str, ...] = ()
    """What some interleaving has to reach; a search that finds nothing and does not reach one is vacuous."""
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Targets that cannot be reached, with the reason; one that is not among `targets` may be, but need not."""

    def with_results(self) -> System:
        """Return the same system, whose states have what each operation has returned; of equal ones, the last."""
        return replace(self, actors=tuple(_with_results(actor) for actor in self.actors))

    @property
    def is_endless(self) -> bool:
        """Whether some actor is an environment actor: counters that would grow without bound then wrap."""
        return any(actor.endless for actor in self.actors)


def _with_results(actor: Actor) -> Actor:
    """Return an actor whose operations have a result each; equal ones share it, so that they are still a loop.

    One that an operation has is kept. The name of a new one is that of the function, with a number for another one with
    other arguments: it is the same for a design with other functions.
    """
    results: dict[Call, CallResult] = {}
    for call in actor.calls:
        if call.result is not None:
            results[call] = call.result
        elif call not in results:
            before = sum(known.function.__name__ == call.function.__name__ for known in results)
            number = f" {before + 1}" if before else ""
            results[call] = CallResult(f"{actor.name}: {call.function.__name__}(){number}")
    return replace(actor, calls=tuple(replace(call, result=results[call]) for call in actor.calls))


@dataclass
class Heap:
    """Every record of a system, numbered within its class from 1 (0 is None)."""

    pools: dict[type[Record], list[Record]] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, system: System) -> Heap:
        """Return the heap of all records that are reachable from the actors and the kernel."""
        heap = cls()
        seen: set[int] = set()
        todo: list[Any] = [system.kernel, *(actor.task for actor in system.actors)]
        for actor in system.actors:
            for call in actor.calls:
                todo.extend((*call.args, call.result))
        if system.at_end is not None:
            todo.extend((*system.at_end.args, system.at_end_task))
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

    def kind(self, kind: Kind | None) -> Kind | None:
        """Return the kind of value in this heap: of a structure that another one extends here, that one."""
        if not isinstance(kind, RefKind) or kind.record in self.pools:
            return kind
        return next((RefKind(other) for other in self.pools if other.root is kind.record.root), kind)

    def fingerprint(self) -> tuple[object, ...]:
        """Return every record with its name and its scalars: equal for two systems that were built in the same way."""
        return tuple(
            (kind.__name__, record.record_name, *(str(record.__dict__[name]) for name in kind.fields))
            for kind, pool in self.pools.items()
            for record in pool
        )

    def ref(self, record: Record) -> Ref:
        """Return the operand of step code for `record`."""
        return Ref(type(record), self.numbers[id(record)])

    def variable(self, record: Record, name: str) -> Variable:
        """Return the operand of step code for a scalar of `record`."""
        return Variable(type(record), self.numbers[id(record)], name)

    def variables(self, column: Column) -> list[Variable]:
        """Return the variables of a column, by record number from 1."""
        return [Variable(column.kind, n + 1, column.name) for n in range(len(self.pools.get(column.kind, ())))]

    def holder(self, variable: Variable) -> Record:
        """Return the record of a variable."""
        return self.pools[variable.kind][variable.number - 1]

    def text(self, variable: Variable) -> str:
        """Return the name of a variable, as in ``record.scalar``."""
        return f"{self.holder(variable)}.{variable.name}"

    def initial(self, variable: Variable) -> int:
        """Return the initial value of a variable, as a number."""
        value = self.holder(variable).__dict__[variable.name]
        return int(value) if isinstance(value, int) else self.number(value)

    def number(self, record: Record | None) -> int:
        """Return the number of `record` in a compiled state."""
        return 0 if record is None else self.numbers[id(record)]

    def record(self, kind: type[Record], number: int) -> Record | None:
        """Return the record of class `kind` and number `number`; None for 0."""
        return None if number == 0 else self.pools[kind][number - 1]
