# SPDX-License-Identifier: GPL-2.0-only
"""Step code: what model source is compiled to, before it is laid out for the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pfncache.check.compile.source import Location
from pfncache.check.compile.values import Kind, Reg
from pfncache.check.ops import Op
from pfncache.lang.records import Record


class Ref(NamedTuple):
    """A record, by its class and its number in the heap: the same in every system that is built alike."""

    kind: type[Record]
    number: int


class Variable(NamedTuple):
    """A scalar of a record that some actor writes."""

    kind: type[Record]
    number: int
    name: str

    @property
    def record(self) -> Ref:
        """The record that it belongs to."""
        return Ref(self.kind, self.number)

    @property
    def column(self) -> Column:
        """The same scalar of every record of the class."""
        return Column(self.kind, self.name)


class Column(NamedTuple):
    """The same scalar of every record of a class: what a reference of unknown number may reach."""

    kind: type[Record]
    name: str


@dataclass(frozen=True)
class LockUse:
    """A lock annotation: which locks it may be (one, or any of a class)."""

    locks: tuple[Ref, ...]
    name: str
    """The lock's class for lockdep."""
    exclusive: bool
    excludes: bool
    waits: bool
    """False for a trylock."""


class Event(NamedTuple):
    """A possible preemption point and what the step that begins there touches."""

    stack: tuple[Location, ...]
    """Innermost last."""
    atomic: bool
    """The body of an atomic function, as opposed to one access."""


@dataclass(frozen=True)
class Failure:
    """A place that must not be reached."""

    kind: str
    stack: tuple[Location, ...]


Subject = int | Variable | Column | tuple[int, ...] | Event | Failure | LockUse
"""The operand of an instruction that is not a register; the table of operations (ops.py) says which."""


@dataclass(slots=True)
class Instr:
    """One instruction: an operation, the registers that it reads, in order, and the one that it writes."""

    op: Op
    reads: tuple[Reg, ...] = ()
    dest: Reg | None = None
    subject: Subject | None = None

    @property
    def condition(self) -> Reg:
        """The register that a branch, BLOCK or SYMMETRIC tests."""
        (condition,) = self.reads
        return condition

    @property
    def index(self) -> Reg:
        """The record number of an access by number, or the index of a table."""
        return self.reads[0]

    @property
    def value(self) -> Reg:
        """What a store writes."""
        return self.reads[-1]

    @property
    def label(self) -> int:
        """The target of a jump."""
        assert isinstance(self.subject, int)
        return self.subject

    @property
    def outcomes(self) -> int:
        """The number of outcomes of a nondeterministic choice."""
        assert isinstance(self.subject, int)
        return self.subject

    @property
    def variable(self) -> Variable:
        """What LOAD reads, or STORE writes."""
        assert isinstance(self.subject, Variable)
        return self.subject

    @property
    def column(self) -> Column:
        """What LOADX reads, or STOREX writes, one variable of."""
        assert isinstance(self.subject, Column)
        return self.subject

    @property
    def place(self) -> Variable | Column:
        """The part of the state that a load or a store accesses."""
        assert isinstance(self.subject, Variable | Column)
        return self.subject

    @property
    def table(self) -> tuple[int, ...]:
        """The constants of TABLE."""
        table: Any = self.subject
        assert type(table) is tuple
        return table

    @property
    def event(self) -> Event:
        """The preemption point of EVENT."""
        assert isinstance(self.subject, Event)
        return self.subject

    @property
    def failure(self) -> Failure:
        """What FAIL reports."""
        assert isinstance(self.subject, Failure)
        return self.subject

    @property
    def lock(self) -> LockUse:
        """The annotation of ACQUIRE or RELEASE."""
        assert isinstance(self.subject, LockUse)
        return self.subject


@dataclass(frozen=True)
class Touch:
    """What a step touches, and how."""

    reads: frozenset[Variable | Column]
    writes: frozenset[Variable | Column]
    held: frozenset[tuple[Ref, bool]]
    """Locks that are held for certain, and whether exclusively."""
    acquires: frozenset[LockUse]
    releases: frozenset[LockUse]
    blocks: bool
    chooses: bool


@dataclass(frozen=True)
class Flow:
    """What a code touches: by instruction, numbers with a bit for each of its variables."""

    variables: list[Variable]
    reads: list[int]
    writes: list[int]
    live: list[int]
    """What may be read from there on before it is overwritten."""
    kept: list[int]
    """What may be left as it is until the end. One more bit says whether there is an end."""
    later_reads: list[int]
    later_writes: list[int]
    """What may be read, or written, from there on."""


@dataclass
class Code:
    """The step code of one actor, in terms that hold in every system with the same answers (memo.py)."""

    instrs: list[Instr] = field(default_factory=list)
    labels: dict[int, int] = field(default_factory=dict)
    kinds: dict[int, Kind] = field(default_factory=dict)
    """Of registers, joined over all that is assigned to them."""
    registers: int = 0
    constants: dict[int, int] = field(default_factory=dict)
    """Number to the register that holds it for ever."""
    successors: list[tuple[int, ...]] | None = None
    """Found by analysis.successors()."""
    live: list[int] | None = None
    """Found by analysis.live_masks()."""
    held: list[tuple[frozenset[tuple[Ref, bool]], frozenset[str]]] | None = None
    """Found by analysis.locks_held()."""
    touches: dict[int, Touch] | None = None
    """Found by movers.touches()."""
    flow: Flow | None = None
    """Found by masks.flow_of()."""

    def register(self) -> int:
        """A new register."""
        self.registers += 1
        return self.registers - 1

    def constant(self, number: int) -> int:
        """The register that holds `number`."""
        if number not in self.constants:
            self.constants[number] = self.register()
        return self.constants[number]

    def constant_registers(self) -> dict[int, int]:
        """Register to the number that it holds for ever."""
        return {register: value for value, register in self.constants.items()}
