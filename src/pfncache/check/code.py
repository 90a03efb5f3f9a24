# SPDX-License-Identifier: GPL-2.0-only
"""The step code of one actor, as one array with a row for each instruction, and as objects where they are wanted."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pfncache.check.compile.function_code import NewRegister
from pfncache.check.compile.source import Location
from pfncache.check.compile.values import IntKind, Kind, Reg
from pfncache.check.ir import Event, Failure, Instr, Subject
from pfncache.check.ops import JUMPS, Op
from pfncache.lang.part_of import CALLER

Rows = NDArray[np.int32]

# The columns of a row
OP = 0
DEST = 1
"""The register that is written; NONE if there is none."""
FIRST = 2
SECOND = 3
"""The registers that are read, in order."""
JUMP = 4
"""Of a jump: its target, counted from its own row."""
SUBJECT = 5
"""Of an event: whether it is atomic. Of a choice: the number of outcomes. Else: the number of the subject."""
STACK = 6
"""Of an event and a failure: the node of its call stack."""
COLUMNS = 7
NONE = -1


class Subjects:
    """Subjects of instructions, and lines of source, by number. Codes share them."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._numbers: dict[tuple[type, Any], int] = {}

    def number(self, thing: Any) -> int:
        """Return the number of a thing; equal ones have the same."""
        found = self._numbers.setdefault((type(thing), thing), len(self.things))
        if found == len(self.things):
            self.things.append(thing)
        return found


@dataclass(frozen=True, eq=False)
class Stacks:
    """Call stacks as a tree: each node adds a line to its parent's stack."""

    parents: Rows
    """By node; NONE for an outermost line."""
    lines: Rows
    """By node: the number of the line among the subjects."""

    def all(self, things: Sequence[Any]) -> list[tuple[Location, ...]]:
        """Return the call stack of each node, outermost line first."""
        found: list[tuple[Location, ...]] = []
        for parent, line in zip(self.parents.tolist(), self.lines.tolist(), strict=True):
            above = found[parent] if parent != NONE else ()
            place = things[line]
            if place.function == CALLER and above:
                place = place._replace(function=above[-1].function)
            found.append((*above, place))
        return found


@dataclass(eq=False)
class Code:
    """The step code of one actor. Systems may share it."""

    rows: Rows
    subjects: Subjects
    stacks: Stacks
    taken: list[NewRegister | int]
    """By register: as what it was taken, or the constant that it always holds."""
    derived: dict[Any, Any] = field(default_factory=dict)
    """What the layout has found out about the code, by the function that finds it and its arguments."""
    events: dict[int, Event] = field(default_factory=dict)
    """The preemption points that were asked for, by instruction."""

    @property
    def registers(self) -> int:
        """Number of registers."""
        return len(self.taken)

    @cached_property
    def instrs(self) -> Instrs:
        """The instructions as objects."""
        return Instrs(self)

    @cached_property
    def labels(self) -> Labels:
        """The instruction that a label stands before."""
        return Labels()

    @cached_property
    def constants(self) -> dict[int, int]:
        """By number: the register that always holds it."""
        return {what: register for register, what in enumerate(self.taken) if isinstance(what, int)}

    @cached_property
    def kinds(self) -> dict[int, Kind]:
        """By register that is no constant: the join of the kinds of all values that are assigned to it."""
        return {register: what.widest for register, what in enumerate(self.taken) if isinstance(what, NewRegister)}

    def constant_registers(self) -> dict[int, int]:
        """Return the numbers of the registers that hold constants."""
        return {register: value for value, register in self.constants.items()}

    @cached_property
    def is_constant(self) -> NDArray[np.bool_]:
        """By register, and for NONE: whether it holds a constant."""
        return np.array([*(not isinstance(what, NewRegister) for what in self.taken), False])

    def where(self, *ops: Op) -> NDArray[np.int64]:
        """Return the instructions of some operations, by index."""
        found = self.rows[:, OP] == ops[0]
        for op in ops[1:]:
            found |= self.rows[:, OP] == op
        return np.flatnonzero(found)

    def subject(self, row: int) -> Any:
        """Return the subject of an instruction that has a number for it."""
        return self.subjects.things[self.rows[row, SUBJECT]]

    @cached_property
    def call_stacks(self) -> list[tuple[Location, ...]]:
        """The call stack of each node."""
        return self.stacks.all(self.subjects.things)

    def event(self, row: int) -> Event:
        """Return the preemption point of an EVENT, which is one object: two may have equal stacks."""
        if row not in self.events:
            self.events[row] = Event(self.call_stacks[self.rows[row, STACK]], bool(self.rows[row, SUBJECT]))
        return self.events[row]

    def failure(self, row: int) -> Failure:
        """Return what a FAIL reports."""
        return Failure(self.subject(row), self.call_stacks[self.rows[row, STACK]])


class Labels:
    """The labels of a code: each is the index of the instruction that it stands before."""

    def __getitem__(self, label: int) -> int:
        return label


class Instrs(Sequence[Instr]):
    """The instructions of a code, each made when it is first wanted."""

    def __init__(self, code: Code) -> None:
        self._code: Code = weakref.proxy(code)  # it has this object: a cycle would outlive both
        self._made: list[Instr | None] = [None] * len(code.rows)

    def __len__(self) -> int:
        return len(self._made)

    def __iter__(self) -> Iterator[Instr]:
        return map(self._at, range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Instr: ...
    @overload
    def __getitem__(self, index: slice) -> list[Instr]: ...
    def __getitem__(self, index: int | slice) -> Instr | list[Instr]:
        if isinstance(index, slice):
            return [self._at(i) for i in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    def _at(self, i: int) -> Instr:
        instr = self._made[i]
        if instr is None:
            op, dest, first, second, *_ = self._code.rows[i].tolist()
            reads = tuple(self._register(number) for number in (first, second) if number != NONE)
            written = self._register(dest) if dest != NONE else None
            instr = self._made[i] = Instr(Op(op), reads, written, self._subject(Op(op), i))
        return instr

    def _register(self, number: int) -> Reg:
        what = self._code.taken[number]
        if isinstance(what, NewRegister):
            return Reg(number, what.kind, what.variable)
        return Reg(number, IntKind(what, what))

    def _subject(self, op: Op, i: int) -> Subject | None:
        if op in JUMPS:
            return i + int(self._code.rows[i, JUMP])
        if op == Op.EVENT:
            return self._code.event(i)
        if op == Op.FAIL:
            return self._code.failure(i)
        if op == Op.CHOOSE:
            return int(self._code.rows[i, SUBJECT])
        found: Subject | None = self._code.subject(i) if self._code.rows[i, SUBJECT] != NONE else None
        return found
