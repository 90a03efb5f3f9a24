# SPDX-License-Identifier: GPL-2.0-only
"""Emits step code: registers, labels, preemption points, and the reads and writes of records."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pfncache.check.compile.draft import Draft
from pfncache.check.compile.queries import Query
from pfncache.check.compile.source import CompileError, FunctionSource, Location, attributed
from pfncache.check.compile.unit import Unit
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
    wraps_at,
)
from pfncache.check.ir import Column, Event, Failure, Instr, SourceLine, Subject
from pfncache.check.ops import JUMPS, UNREACHED_AFTER, Op
from pfncache.lang.records import LIVE, Record


@dataclass
class Frame:
    """A function that is being compiled into its caller."""

    source: FunctionSource
    owner: type | None
    query: Query | None
    """What found it as a method."""
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
    """The lowest layer of the compiler of one call: instructions, registers, and accesses to records."""

    def __init__(self, unit: Unit, arguments: Sequence[Kind] = (), depth: int = 0) -> None:
        """Compile for `unit`; `arguments` are the kinds of the registers that are given, `depth` the frames around."""
        self.unit = unit
        self.code = Draft(arguments)
        self.depth = depth
        self.dead = False
        self.atomic_depth = 0
        self.at_end = False
        """The code is the check at the end: one step, without choices, that must not block and reaches no target."""
        self.frames: list[Frame] = []
        self.labels_used: set[int] = set()
        self.placed_here: list[int] = []

    # Places

    @property
    def frame(self) -> Frame:
        """The frame of the innermost function."""
        return self.frames[-1]

    def stack(self) -> tuple[Location, ...]:
        """Return the call stack within the call at the line that is being compiled, innermost last."""
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
        self.code.label_count += 1
        return self.code.label_count

    def place(self, label: int) -> None:
        """Let the label stand for the next instruction. Drop a jump to it that stands right before."""
        instrs = self.code.instrs
        last = self.last_jump()
        before = instrs[-2] if last is not None and len(instrs) > 1 else None
        if last is not None and last.label == label:
            instrs.pop()
            for other in self.placed_here:
                self.code.labels[other] = len(instrs)
            self.dead = False
        elif last is not None and isinstance(before, Instr) and before.op == Op.JNZ and before.label == label:
            instrs[-2:] = [Instr(Op.JZ, before.reads, subject=last.label)]
            for other in self.placed_here:
                self.code.labels[other] = len(instrs)
            self.dead = False
        self.placed_here.append(label)
        self.code.labels.pop(label, None)  # so that labels stay in the order of their places
        self.code.labels[label] = len(instrs)
        if label in self.labels_used:
            self.dead = False

    def last_jump(self) -> Instr | None:
        """Return the jump that the code ends with; None if it ends with something else."""
        last = self.code.instrs[-1] if self.dead and self.code.instrs else None
        return last if isinstance(last, Instr) and last.op == Op.JUMP else None

    def labels_after(self, start: int) -> list[int]:
        """Return the labels behind the instruction `start`; labels are in the order of their places."""
        return list(itertools.takewhile(lambda label: self.code.labels[label] > start, reversed(self.code.labels)))

    def result(self, kind: Kind) -> Reg:
        """Return a register for a value that is computed once."""
        return self.code.register(kind, variable=False)

    def variable(self, kind: Kind) -> Reg:
        """Return a register for a local that is assigned several times."""
        return self.code.register(kind, variable=True)

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
            self.unit.mix(Column(kind, name))
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
            self.unit.store(variable)
            self.emit(Op.STORE, source, subject=variable)
        else:
            assert isinstance(base, Reg)
            self.unit.store_any(Column(kind, name))
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
        parts = [self.unit.part(r, name) for r in records]
        roles = {self.unit.role(part) for part in parts}
        kind = RefKind(type(parts[0]), roles.pop() if len(roles) == 1 else "")
        return self.lookup(base, [Const(p) for p in parts], kind)

    def _plain(self, value: Const) -> int:
        if value.value is None:
            return 0
        return self.unit.heap.number(value.value) if isinstance(value.value, Record) else int(value.value)

    def _records(self, base: Value) -> tuple[type[Record], list[Record]]:
        if isinstance(base, Const) and isinstance(base.value, Record):
            return type(base.value), [base.value]
        if isinstance(base, Reg) and isinstance(base.kind, RefKind):
            return base.kind.record, self.unit.pool(base.kind.record)
        raise self.error("only a record has members")

    def _field_kind(self, kind: type[Record], name: str) -> Kind:
        return self.kind_of_hint(kind.fields[name].hint) or ANY_INT

    def kind_of_hint(self, hint: Any) -> Kind | None:
        """Return the kind of value that an annotation allows; of a structure that a patch extends, the longer one."""
        return self.unit.kind_of_hint(hint)

    def _owner_varies(self, records: list[Record]) -> bool:
        owners = [owner for owner in map(self.unit.slab_owner, records) if owner is not None]
        return any(self.unit.varies(self.unit.heap.variable(owner, "slab_state")) for owner in owners)

    def _check_slab(self, base: Value, records: list[Record], name: str) -> None:
        """Emit KASAN's check, as Record.check_slab() does it."""
        owners = [self.unit.slab_owner(r) for r in records]
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
                self.unit.mix(Column(owner.kind.record, "slab_state"))
                state = self.compute(Op.LOADX, SLAB_STATE, owner, subject=Column(type(owners[0]), "slab_state"))
        self.check(self.compute(Op.EQ, BOOL, state, self.constant(LIVE)), "use-after-free")
