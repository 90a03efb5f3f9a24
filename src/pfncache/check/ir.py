# SPDX-License-Identifier: GPL-2.0-only
"""Step code: the intermediate representation between model source and the image of a program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pfncache.check.compile.source import Location
from pfncache.check.compile.values import Kind, Reg
from pfncache.check.ops import Op
from pfncache.lang.records import Record


class Ref(NamedTuple):
    """A record, by its class and its number in the heap: the same in every system with the same structure."""

    kind: type[Record]
    number: int


class Variable(NamedTuple):
    """A scalar of a record that some actor writes."""

    kind: type[Record]
    number: int
    name: str

    @property
    def record(self) -> Ref:
        """The record that it is a scalar of."""
        return Ref(self.kind, self.number)

    @property
    def column(self) -> Column:
        """The same scalar of every record of the class."""
        return Column(self.kind, self.name)


class Column(NamedTuple):
    """The same scalar of every record of a class: what an access by record number may reach."""

    kind: type[Record]
    name: str


@dataclass(frozen=True)
class LockUse:
    """A lock annotation: one lock, or any lock of a class."""

    locks: tuple[Ref, ...]
    name: str
    """The lock's class for lockdep."""
    exclusive: bool
    """For writing, as opposed to reading."""
    excludes: bool
    """False for a counter or an SRCU section, which others may hold at the same time."""
    waits: bool
    """False for a trylock."""


class Event(NamedTuple):
    """A possible preemption point: a step begins here."""

    stack: tuple[Location, ...]
    """Innermost last."""
    atomic: bool
    """The body of an atomic function, as opposed to one access."""


@dataclass(frozen=True)
class Failure:
    """A violation of the property `kind` at a place of the source."""

    kind: str
    stack: tuple[Location, ...]


class SourceLine(NamedTuple):
    """A line of source that is executed, or the way around the branch that is there."""

    file: str
    line: int
    around: bool = False
    """Not the line itself: an ``if`` without ``else`` whose condition is false, or the end of a ``while``."""


Subject = int | str | SourceLine | Variable | Column | tuple[int, ...] | Event | Failure | LockUse
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
        """The register that a branch, BLOCK, SYMMETRIC or REACH tests."""
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
    def target(self) -> str | SourceLine:
        """What REACH marks: a target, or for coverage a line."""
        assert isinstance(self.subject, str | SourceLine)
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
    """The accesses of a step."""

    reads: frozenset[Variable | Column]
    writes: frozenset[Variable | Column]
    held: frozenset[tuple[Ref, bool]]
    """Locks that are certainly held where it begins, and whether exclusively."""
    acquires: frozenset[LockUse]
    releases: frozenset[LockUse]
    strays: frozenset[LockUse]
    """Releases of locks that the actor does not hold on any path."""
    blocks: bool
    chooses: bool


@dataclass(frozen=True)
class Flow:
    """The accesses of a code, as bit masks with a bit for each of its variables."""

    variables: list[Variable]
    reads: list[int]
    """By instruction."""
    writes: list[int]
    live: dict[int, int]
    """At the entry and behind each event: live variables, which may be read before they are overwritten."""
    kept: dict[int, int]
    """Variables that may keep their value until the actor ends. One more bit is set if the actor may end."""
    later_reads: dict[int, int]
    later_writes: dict[int, int]
    """Variables that may be read, or written, from there on."""


@dataclass
class Code:
    """The step code of one actor. Systems may share it."""

    instrs: list[Instr] = field(default_factory=list)
    labels: dict[int, int] = field(default_factory=dict)
    kinds: dict[int, Kind] = field(default_factory=dict)
    """By register: the join of the kinds of all values that are assigned to it."""
    registers: int = 0
    constants: dict[int, int] = field(default_factory=dict)
    """By number: the register that always holds it."""
    successors: list[tuple[int, ...]] | None = None
    """Cache of dataflow.successors()."""
    live: list[int] | None = None
    """Cache of dataflow.live_masks()."""
    held: list[tuple[frozenset[tuple[Ref, bool]], frozenset[str]]] | None = None
    """Cache of dataflow.locks_held()."""
    reached: frozenset[int] = frozenset()
    """The instructions that its paths get to, among those that change a path or depend on it."""
    templates: dict[frozenset[Op], Any] = field(default_factory=dict)
    """Cache of template.template_of(), by the operations that are left out."""
    loops: set[int] | None = None
    """Cache of dataflow.in_loops()."""
    touches: dict[int, Touch] | None = None
    """Cache of movers.touches()."""
    flows: dict[tuple[int, ...], Flow] = field(default_factory=dict)
    """Cache of masks.flow_of(), by the sizes of the code's columns."""

    def register(self) -> int:
        """Return a new register."""
        self.registers += 1
        return self.registers - 1

    def constant(self, number: int) -> int:
        """Return the register that holds `number`."""
        if number not in self.constants:
            self.constants[number] = self.register()
        return self.constants[number]

    def constant_registers(self) -> dict[int, int]:
        """Return the numbers of the registers that hold constants."""
        return {register: value for value, register in self.constants.items()}
