# SPDX-License-Identifier: GPL-2.0-only
"""Step code: what model source is compiled to, before it is laid out for the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from pfncache.check.compile.source import Location
from pfncache.check.compile.values import Kind, Reg
from pfncache.lang.records import Record


class Op(IntEnum):
    """Operations of the engine. d is a destination register, r a register, v a variable, l a label."""

    HALT = 0  # the actor is done
    EVENT = 1  # event: a possible preemption point
    JUMP = 2  # l
    JZ = 3  # r l
    JNZ = 4  # r l
    MOVE = 5  # d r
    LOAD = 6  # d v
    STORE = 7  # v r
    LOADX = 8  # d column r: the variable of a column of records, by record number
    STOREX = 9  # column r r
    TABLE = 10  # d table r: a constant by number
    ADD = 11  # d r r, and so on
    SUB = 12
    MUL = 13
    DIV = 14
    MOD = 15
    AND = 16
    OR = 17
    XOR = 18
    SHL = 19
    SHR = 20
    EQ = 21
    NE = 22
    LT = 23
    LE = 24
    NOT = 25  # d r
    NEG = 26  # d r
    INVERT = 27  # d r
    BLOCK = 28  # r: the step cannot be taken while r is 0
    CHOOSE = 29  # d n
    FAIL = 30  # failure
    ACQUIRE = 31  # annotation
    RELEASE = 32  # annotation
    ALIKE = 33  # r: unless r is 0, another outcome of the step's choose() is the same to all


WRITES_D = frozenset(
    {
        Op.MOVE,
        Op.LOAD,
        Op.LOADX,
        Op.TABLE,
        Op.NOT,
        Op.NEG,
        Op.INVERT,
        Op.CHOOSE,
        *(Op(n) for n in range(Op.ADD, Op.LE + 1)),
    }
)
READS = {
    Op.JZ: (0,), Op.JNZ: (0,), Op.MOVE: (1,), Op.STORE: (1,), Op.LOADX: (2,), Op.STOREX: (1, 2), Op.TABLE: (2,),
    Op.NOT: (1,), Op.NEG: (1,), Op.INVERT: (1,), Op.BLOCK: (0,), Op.ALIKE: (0,),
    **{Op(n): (1, 2) for n in range(Op.ADD, Op.LE + 1)},
}  # fmt: skip
"""Which operands are registers that are read."""


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


Operand = int | Reg | Variable | Column | Event | Failure | LockUse | tuple[int, ...]


@dataclass(slots=True)
class Instr:
    """One instruction."""

    op: Op
    args: tuple[object, ...]


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
