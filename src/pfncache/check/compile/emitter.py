# SPDX-License-Identifier: GPL-2.0-only
"""Emits step code: registers, labels, preemption points, and the reads and writes of records."""

from __future__ import annotations

import ast
import itertools
from dataclasses import dataclass, field
from typing import Any

from pfncache.check.compile.queries import Queries, Query
from pfncache.check.compile.source import CompileError, FunctionSource, Location, attributed
from pfncache.check.compile.values import (
    ANY_INT,
    BOOL,
    Const,
    IntKind,
    Kind,
    RefKind,
    Reg,
    Value,
    describe,
    join,
    kind_of_hint,
    wraps_at,
)
from pfncache.check.compile.writes import Written
from pfncache.check.ir import Code, Column, Event, Failure, Instr, SourceLine, Subject, Variable
from pfncache.check.ops import JUMPS, UNREACHED_AFTER, Op
from pfncache.check.system import Heap
from pfncache.lang.records import LIVE, Record


@dataclass
class Unit:
    """One actor while it is compiled: what its code depends on, and what it writes."""

    queries: Queries
    written: Written
    """What all actors write, as far as it has been found."""
    coverage: bool = False
    """Mark each line."""
    own: Written = field(default_factory=Written)
    """What this actor writes."""
    used: set[str] = field(default_factory=set)
    """Names of the kernel's functions that the code is compiled from."""
    dependencies: dict[Query, object] = field(default_factory=dict)
    """Queries about the system without its actors, with the answers."""
    write_dependencies: dict[Query, bool] = field(default_factory=dict)
    """Queries about what the other actors write, with the answers."""
    owners: dict[tuple[type, type], Query] = field(default_factory=dict)
    """By a receiver's class and the one in which a method of it was found: the query that found it."""

    @property
    def heap(self) -> Heap:
        """Every record of the system."""
        return self.queries.heap

    def depend_on(self, *query: Any) -> None:
        """Record that the code depends on the answer to a query: on ``query[0](queries, *query[1:])``."""
        if query not in self.dependencies:
            self.dependencies[query] = self.queries.answer(query)

    def find(self, query: Query, root: type, owner: type) -> None:
        """Record that a method of an object of class `root` is found in the class `owner`."""
        self.depend_on(*query)
        self.owners.setdefault((root, owner), query)

    def initial(self, record: Record, name: str) -> Const:
        """Return the value of a scalar that no actor writes."""
        self.depend_on(Queries.scalar, self.heap.variable(record, name))
        return Const(record.__dict__[name])

    def varies(self, variable: Variable) -> bool:
        """Return Written.varies() for the writes of all actors."""
        return self.own.varies(variable) or self._depend_on_writes(Written.varies, variable)

    def varies_any(self, column: Column) -> bool:
        """Return Written.varies_any() for the writes of all actors."""
        return self.own.varies_any(column) or self._depend_on_writes(Written.varies_any, column)

    def _depend_on_writes(self, *query: Any) -> bool:
        if query not in self.write_dependencies:
            self.write_dependencies[query] = query[0](self.written, *query[1:])
        return self.write_dependencies[query]


@dataclass
class Frame:
    """A function that is being compiled into its caller."""

    source: FunctionSource
    owner: type | None
    locals: dict[str, Value]
    end: int
    cleanup_depth: int
    node: ast.AST | None
    """The syntax that is being compiled; None at the bottom of an actor's stack."""
    returns: list[tuple[int, Value]] = field(default_factory=list)
    result: Value | None = None
    variables: dict[str, Reg] = field(default_factory=dict)
    """Registers of the locals that are assigned more than once."""
    loops: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)
    """For each enclosing loop: label and depth of cleanups of break, then of continue."""
    on_yield: Any = None
    target: str = ""
    """What is reached if the function succeeds."""
    tail_call: ast.AST | None = None
    """The call whose result is being returned, and with it whether the function succeeds."""

    @property
    def here(self) -> Location:
        """The line that is being compiled."""
        return self.source.location(self.node) if self.node is not None else NOWHERE


NOWHERE = Location("", 0, "")
SLAB_STATE = IntKind(0, 2)
"""Values of Record.slab_state."""


class Emitter:
    """The lowest layer of the compiler of one actor: instructions, registers, and accesses to records."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.code = Code()
        self.dead = False
        self.atomic_depth = 0
        self.at_end = False
        """The code is the check at the end: one step, without choices, that must not block and reaches no target."""
        self.frames: list[Frame] = []
        self.labels_used: set[int] = set()
        self.label_count = 0
        self.placed_here: list[int] = []
        self.candidates: dict[int, tuple[Record, ...]] = {}
        """By register: the records that it can hold, of those that are embedded in others."""

    # Places

    @property
    def frame(self) -> Frame:
        """The frame of the innermost function."""
        return self.frames[-1]

    def stack(self) -> tuple[Location, ...]:
        """Return the call stack at the line that is being compiled, innermost last."""
        return attributed([f.source.location(f.node) if f.node is not None else NOWHERE for f in self.frames])

    def error(self, what: str) -> CompileError:
        """Return an error at the line that is being compiled."""
        return CompileError(self.frame.here, what)

    # Instructions

    def emit(self, op: Op, *reads: Reg, dest: Reg | None = None, subject: Subject | None = None) -> None:
        """Append an instruction, unless it is unreachable."""
        if not self.dead:
            instr = Instr(op, reads, dest, subject)
            if op in JUMPS:
                self.labels_used.add(instr.label)
            self.code.instrs.append(instr)
            self.placed_here.clear()
            if op in UNREACHED_AFTER:
                self.dead = True

    def jump(self, label: int) -> None:
        """Emit a jump."""
        self.emit(Op.JUMP, subject=label)

    def jump_if(self, condition: Reg, label: int) -> None:
        """Emit a jump that is taken if `condition` is not 0."""
        self.emit(Op.JNZ, condition, subject=label)

    def new_label(self) -> int:
        """Return a label, to be placed later."""
        self.label_count += 1
        return self.label_count

    def place(self, label: int) -> None:
        """Let the label stand for the next instruction. Drop a jump to it that stands right before."""
        instrs = self.code.instrs
        if self.dead and instrs and instrs[-1].op == Op.JUMP and instrs[-1].label == label:
            instrs.pop()
            for other in self.placed_here:
                self.code.labels[other] = len(instrs)
            self.dead = False
        elif (
            self.dead
            and len(instrs) > 1
            and instrs[-1].op == Op.JUMP
            and instrs[-2].op == Op.JNZ
            and instrs[-2].label == label
        ):
            instrs[-2:] = [Instr(Op.JZ, instrs[-2].reads, subject=instrs[-1].label)]
            for other in self.placed_here:
                self.code.labels[other] = len(instrs)
            self.dead = False
        self.placed_here.append(label)
        self.code.labels.pop(label, None)  # so that labels stay in the order of their places
        self.code.labels[label] = len(instrs)
        if label in self.labels_used:
            self.dead = False

    def labels_after(self, start: int) -> list[int]:
        """Return the labels behind the instruction `start`; labels are in the order of their places."""
        return list(itertools.takewhile(lambda label: self.code.labels[label] > start, reversed(self.code.labels)))

    def result(self, kind: Kind) -> Reg:
        """Return a register for a value that is computed once."""
        number = self.code.register()
        self.code.kinds[number] = kind
        return Reg(number, kind)

    def variable(self, kind: Kind) -> Reg:
        """Return a register for a local that is assigned several times."""
        number = self.code.register()
        self.code.kinds[number] = kind
        return Reg(number, kind, variable=True)

    def compute(self, op: Op, kind: Kind, *reads: Reg, subject: Subject | None = None) -> Reg:
        """Emit an instruction with a result."""
        result = self.result(kind)
        self.emit(op, *reads, dest=result, subject=subject)
        return result

    def constant(self, number: int) -> Reg:
        """Return the register that holds `number`."""
        if not -(1 << 63) <= number < 1 << 63:
            raise self.error(f"a number of {number.bit_length()} bits; the engine's have 64, with a sign")
        return Reg(self.code.constant(number), IntKind(number, number))

    def scalar(self, value: Value, want: Kind | None = None) -> Reg:
        """Return a register with `value`, which must be of the kind `want`."""
        if isinstance(value, Reg):
            if want is not None and isinstance(want, RefKind) != isinstance(value.kind, RefKind):
                raise self.error(f"{describe(value.kind)} where {describe(want)} is required")
            return value
        if isinstance(value, Const):
            if value.value is None:
                return self.constant(0)
            if isinstance(value.value, Record):
                if want is not None and not isinstance(want, RefKind):
                    raise self.error(f"{value.value} where {describe(want)} is required")
                return self.constant(self.unit.heap.number(value.value))
            if isinstance(value.value, int):
                return self.constant(int(value.value))
        raise self.error("this value cannot be kept in a variable: only numbers, truth values and records can")

    def kind_of(self, value: Value) -> Kind | None:
        """Return the kind of a value; None for None, which any reference may hold."""
        if isinstance(value, Reg):
            return self.code.kinds.get(value.number, value.kind)
        if isinstance(value, Const):
            if isinstance(value.value, Record):
                return RefKind(type(value.value))
            if isinstance(value.value, bool):
                return BOOL
            if isinstance(value.value, int):
                return IntKind(value.value, value.value)
            if value.value is None:
                return None
        raise self.error("only numbers, truth values and records can be assigned here")

    def move(self, target: Reg, value: Value) -> None:
        """Emit the assignment of a value to a variable register, and extend the register's kind."""
        kind = self.kind_of(value)
        if kind is not None:
            try:
                self.code.kinds[target.number] = join(self.code.kinds[target.number], kind)
            except TypeError as mixed:
                raise self.error(
                    f"the local is both {mixed}: annotate its first assignment, or use two locals"
                ) from None
        self.emit(Op.MOVE, self.scalar(value), dest=target)

    # Preemption points and failures

    def event(self, atomic: bool) -> None:
        """Emit a possible preemption point, unless inside an atomic function."""
        if self.atomic_depth == 0:
            self.emit(Op.EVENT, subject=Event(self.stack(), atomic))

    def fail(self, kind: str) -> None:
        """Emit the violation of the property `kind`."""
        self.emit(Op.FAIL, subject=Failure(kind, self.stack()))

    def cover(self, around: bool = False) -> None:
        """Mark the line that is being compiled, or the way around its branch, if coverage is asked for."""
        if self.unit.coverage and not self.dead:
            self.reach(SourceLine(self.frame.here.file, self.frame.here.line, around), Const(True))

    def reach(self, target: str | SourceLine, condition: Value) -> None:
        """Emit the mark of a target for the case that `condition` is not 0."""
        if not self.at_end:
            self.emit(Op.REACH, self.scalar(condition), subject=target)

    def check(self, condition: Reg, kind: str) -> None:
        """Emit the violation of the property `kind` for the case that `condition` is 0."""
        good = self.new_label()
        self.jump_if(condition, good)
        self.fail(kind)
        self.place(good)

    # Records

    def load(self, base: Value, name: str) -> Value:
        """Emit the read of a scalar of a record, and return its value."""
        if self.dead:
            return Const(None)
        kind, records = self._records(base)
        if isinstance(base, Reg):
            self.check(base, "null-dereference")
        owners_vary = self._owner_varies(records)
        if isinstance(base, Const):
            record = records[0]
            variable = self.unit.heap.variable(record, name)
            varies = self.unit.varies(variable)
            if varies or owners_vary:
                self.event(atomic=False)
            self._check_slab(base, records, name)
            if not varies:
                return self.unit.initial(record, name)
            return self.compute(Op.LOAD, self._field_kind(kind, name), subject=variable)
        assert isinstance(base, Reg)
        varies = self.unit.varies_any(Column(kind, name))
        if varies:
            self.unit.own.mixed.add(Column(kind, name))
        if varies or owners_vary:
            self.event(atomic=False)
        self._check_slab(base, records, name)
        if varies:
            return self.compute(Op.LOADX, self._field_kind(kind, name), base, subject=Column(kind, name))
        return self.lookup(base, [self.unit.initial(r, name) for r in records], self._field_kind(kind, name))

    def store(self, base: Value, name: str, value: Value) -> None:
        """Emit the write of a scalar of a record."""
        if self.dead:
            return
        kind, records = self._records(base)
        if name not in kind.fields:
            raise self.error(f"{kind.__name__} has no scalar {name!r}; its scalars: {', '.join(kind.fields)}")
        field_kind = self._field_kind(kind, name)
        if isinstance(base, Reg):
            self.check(base, "null-dereference")
        source = self.scalar(value, field_kind)
        if self.dead:
            return
        self.event(atomic=False)
        self._check_slab(base, records, name)
        if self.unit.queries.endless and (turn := wraps_at(kind.fields[name].hint)):
            source = self.compute(Op.MOD, IntKind(0, turn - 1), source, self.constant(turn))
        if isinstance(base, Const):
            variable = self.unit.heap.variable(records[0], name)
            self.unit.own.note(variable)
            self.emit(Op.STORE, source, subject=variable)
        else:
            assert isinstance(base, Reg)
            self.unit.own.columns.add(Column(kind, name))
            self.emit(Op.STOREX, base, source, subject=Column(kind, name))

    def lookup(self, number: Reg, values: list[Const], kind: Kind) -> Value:
        """Return the value for a record's number, from a table; a constant if it is the same for all."""
        if values and all(v.value is values[0].value or v.value == values[0].value for v in values):
            return values[0]
        table = (0, *(self._plain(v) for v in values))
        return self.compute(Op.TABLE, kind, number, subject=table)

    def part(self, base: Reg, name: str) -> Value:
        """Return a record that is embedded in the record `base`."""
        _, records = self._records(base)
        self.check(base, "null-dereference")
        parts = [r.__dict__[name] for r in records]
        found = self.lookup(base, [Const(p) for p in parts], RefKind(type(parts[0])))
        if isinstance(found, Reg):
            self.candidates[found.number] = tuple(parts)
        return found

    def _plain(self, value: Const) -> int:
        if value.value is None:
            return 0
        return self.unit.heap.number(value.value) if isinstance(value.value, Record) else int(value.value)

    def _records(self, base: Value) -> tuple[type[Record], list[Record]]:
        if isinstance(base, Const) and isinstance(base.value, Record):
            return type(base.value), [base.value]
        if isinstance(base, Reg) and isinstance(base.kind, RefKind):
            return base.kind.record, self.unit.heap.pools.get(base.kind.record, [])
        raise self.error("only a record has members")

    def _field_kind(self, kind: type[Record], name: str) -> Kind:
        return self.kind_of_hint(kind.fields[name].hint) or ANY_INT

    def kind_of_hint(self, hint: Any) -> Kind | None:
        """Return the kind of value that an annotation allows; of a structure that a patch extends, the longer one."""
        return self.unit.heap.kind(kind_of_hint(hint))

    def _owner_varies(self, records: list[Record]) -> bool:
        owners = [r.slab_owner for r in records if r.slab_owner is not None]
        return any(self.unit.varies(self.unit.heap.variable(owner, "slab_state")) for owner in owners)

    def _check_slab(self, base: Value, records: list[Record], name: str) -> None:
        """Emit KASAN's check, as Record.check_slab() does it."""
        owners = [r.slab_owner for r in records]
        if not owners or owners[0] is None or name == "slab_state":
            return
        if not self._owner_varies(records):
            states = [self.unit.initial(o, "slab_state") for o in owners if o is not None]
            live = [Const(int(state.value == LIVE)) for state in states]
            alive: Value = self.lookup(base, live, BOOL) if isinstance(base, Reg) else live[0]
            if alive == Const(0):
                self.fail("use-after-free")
            elif isinstance(alive, Reg):
                self.check(alive, "use-after-free")
            return
        if isinstance(base, Const):
            state = self.compute(Op.LOAD, SLAB_STATE, subject=self.unit.heap.variable(owners[0], "slab_state"))
        else:
            owner = self.lookup(base, [Const(o) for o in owners], RefKind(type(owners[0])))  # type: ignore[arg-type]
            if isinstance(owner, Const):
                state = self.compute(Op.LOAD, SLAB_STATE, subject=self.unit.heap.variable(owner.value, "slab_state"))
            else:
                assert isinstance(owner, Reg) and isinstance(owner.kind, RefKind)
                self.unit.own.mixed.add(Column(owner.kind.record, "slab_state"))
                state = self.compute(Op.LOADX, SLAB_STATE, owner, subject=Column(type(owners[0]), "slab_state"))
        self.check(self.compute(Op.EQ, BOOL, state, self.constant(LIVE)), "use-after-free")
