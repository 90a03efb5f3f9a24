# SPDX-License-Identifier: GPL-2.0-only
"""Step code: the intermediate representation between model source and the image of a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from pfncache.check.compile.source import Location
from pfncache.check.compile.values import Reg
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
