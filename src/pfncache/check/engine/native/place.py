# SPDX-License-Identifier: GPL-2.0-only
"""LLVM IR for the step that an actor takes from one place: a function in SSA form, with interpreter.step()'s meaning.

A place is a row of the image's YIELDS. The step from it runs through a few instructions, to the next event that
remains. Registers are SSA values, constants and slots are immediates, and the words of the state are values between two
joins of the control flow, where they are written to memory. What is rare is left to the interpreter: a step that
violates a property, stores a value out of range, divides by a number that may not be positive, or loops for long
returns INTERPRET, and the caller lets the interpreter take it from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pfncache.check.engine.interpreter import (
    BLOCKED,
    MAX_INSTRUCTIONS,
    OUT_CHOICES,
    STEPPED,
    SYMMETRIC,
    WATCH_INSTRUCTIONS,
)
from pfncache.check.engine.native.region import StepRegion
from pfncache.check.engine.native.rows import ProgramRows
from pfncache.check.ops import BRANCHES, COMPARISONS, Op
from pfncache.check.program.image import COUNTER_END, INSTR_A, INSTR_B, INSTR_C, INSTR_OP, SLOT, WORD
from pfncache.check.program.packing import Slot

INTERPRET = 99
"""Result of a native step that the interpreter has to take instead."""
MAX_WATCHED = 16 * WATCH_INSTRUCTIONS
"""Instructions after which a native step is left to the interpreter, which finds out whether it ends."""
FUEL = -1
"""Number of the register that counts down the jumps backward."""
BINARY = {
    Op.ADD: "add", Op.SUB: "sub", Op.MUL: "mul", Op.AND: "and", Op.OR: "or", Op.XOR: "xor", Op.SHL: "shl",
    Op.SHR: "ashr", Op.EQ: "eq", Op.NE: "ne", Op.LT: "slt", Op.LE: "sle",
}  # fmt: skip
"""Operations on two registers, as LLVM has them."""

Row = Sequence[int]


@dataclass
class _Values:
    """What is known at a point of the code."""

    registers: dict[int, str]
    """SSA values and numbers, by register."""
    words: dict[int, str] = field(default_factory=dict)
    """By word of the state: its value."""
    dirty: set[int] = field(default_factory=set)
    """Words whose value is not in memory."""

    def copy(self) -> _Values:
        return _Values(dict(self.registers), dict(self.words), set(self.dirty))


@dataclass
class _Join:
    """An instruction with several predecessors: a label, with a phi for each register that is live there."""

    registers: tuple[int, ...]
    edges: list[tuple[str, list[str]]] = field(default_factory=list)
    """By predecessor: its label, and the value of each register."""


class PlaceFunction:
    """The function of one place: its text."""

    def __init__(self, program: ProgramRows, place: int) -> None:
        self.program = program
        self.place = place
        self.actor = program.actor_of(place)
        resume = program.resume(place)
        self.region = StepRegion(program, self.actor, resume.at)
        live = self._live = self.region.live()
        extra = (FUEL,) if self.region.loops else ()
        self.joins = {at: _Join((*sorted(live[at]), *extra)) for at in self.region.joins}
        self._lines: list[str] = []
        self._names = 0
        self._label = "entry"
        self._todo: list[tuple[str, int, _Values, bool]] = []
        """Blocks behind branches: label, first instruction, what is known there, and whether it is a jump backward."""
        self._emit(resume.at, resume.saves)

    @property
    def name(self) -> str:
        """The function's name in its module."""
        return f"step{self.place}"

    @property
    def text(self) -> str:
        """The function in LLVM's language."""
        body: list[str] = []
        for line in self._lines:
            body.append(line)
            if line.startswith("j"):
                body += self._phis(int(line[1:-1]))
        arguments = "ptr noalias readonly %image, ptr noalias %state, ptr noalias %out, ptr noalias %cover, i64 %choice"
        return "\n".join((f"define i64 @{self.name}({arguments}) nounwind {{", "entry:", *body, "}", ""))

    def _phis(self, at: int) -> Iterator[str]:
        join = self.joins[at]
        for n, register in enumerate(join.registers):
            incoming = ", ".join(f"[{values[n]}, %{label}]" for label, values in join.edges)
            yield f"%{_phi(at, register)} = phi i64 {incoming}"

    def _emit(self, entry: int, saves: Sequence[tuple[int, Slot]]) -> None:
        """Emit every block."""
        values = _Values({})
        reads = self._live[entry]
        for register, slot in saves:
            if register in reads:
                values.registers[register] = self._load(values, slot)
        if self.region.loops:
            size = len(self.region.successors)
            values.registers[FUEL] = str(min(MAX_WATCHED, MAX_INSTRUCTIONS // 2) // size)
        self._enter(entry, values)
        for at in sorted(self.joins):
            self._start(f"j{at}")
            self._block(at, _Values({r: f"%{_phi(at, r)}" for r in self.joins[at].registers}))
        while self._todo:
            label, at, values, is_backward = self._todo.pop()
            self._start(label)
            if is_backward:
                self._burn(values)
            self._enter(at, values)

    def _enter(self, at: int, values: _Values) -> None:
        """Go on at an instruction, in the same block if it has no other predecessor."""
        if at in self.joins:
            self._join(at, values)
        else:
            self._block(at, values)

    def _start(self, label: str) -> None:
        self._label = label
        self._lines.append(f"{label}:")

    def _new(self, what: str) -> str:
        """Append an instruction with a result. Returns its name."""
        self._names += 1
        self._lines.append(f"%v{self._names} = {what}")
        return f"%v{self._names}"

    def _new_label(self) -> str:
        self._names += 1
        return f"b{self._names}"

    def _leave(self, condition: str, result: int) -> None:
        """Return a result if a condition holds, and go on in a new block."""
        onward, out = self._new_label(), self._new_label()
        self._lines += [f"br i1 {condition}, label %{out}, label %{onward}", f"{out}:", f"ret i64 {result}"]
        self._start(onward)

    def _block(self, at: int, values: _Values) -> None:
        """Emit the instructions from `at` to the end of the block, and leave the blocks behind it to do."""
        while True:
            row = self.program.code[at]
            op = row[INSTR_OP]
            if op in BRANCHES:
                self._branch(at, row, values)
                return
            if self._returns(row, values):
                return
            if op != Op.JUMP:
                self._execute(row, values)
            (after,) = self.region.successors[at]
            if after <= at:
                self._burn(values)
            if after in self.joins:
                self._join(after, values)
                return
            at = after

    def _branch(self, at: int, row: Row, values: _Values) -> None:
        taken, other = row[INSTR_B], at + 1
        condition = self._is_zero(self._read(row[INSTR_A], values))
        if row[INSTR_OP] == Op.JNZ:
            taken, other = other, taken
        labels = self._new_label(), self._new_label()
        self._lines.append(f"br i1 {condition}, label %{labels[0]}, label %{labels[1]}")
        for label, target in zip(labels, (taken, other), strict=True):
            self._todo.append((label, target, values.copy(), target <= at))

    def _burn(self, values: _Values) -> None:
        """Count a jump backward."""
        left = self._new(f"sub i64 {values.registers[FUEL]}, 1")
        self._leave(self._new(f"icmp slt i64 {left}, 0"), INTERPRET)
        values.registers[FUEL] = left

    def _join(self, at: int, values: _Values) -> None:
        """Jump to an instruction with several predecessors."""
        self._flush(values)
        join = self.joins[at]
        join.edges.append((self._label, [self._read(register, values) for register in join.registers]))
        self._lines.append(f"br label %j{at}")

    def _read(self, register: int, values: _Values) -> str:
        """Return the value of a register. One that the step never wrote is 0: on such a path it decides nothing."""
        constant = self.program.constants.get(register)
        return values.registers.get(register, "0") if constant is None else str(constant)

    def _is_zero(self, value: str) -> str:
        return self._new(f"icmp eq i64 {value}, 0")

    def _truth(self, condition: str) -> str:
        return self._new(f"zext i1 {condition} to i64")

    def _pointer(self, array: str, index: int | str, kind: str = "i64") -> str:
        return self._new(f"getelementptr {kind}, ptr %{array}, i64 {index}")

    def _entry(self, index: str, offset: int) -> str:
        """Return an entry of the image."""
        return self._new(f"load i64, ptr {self._pointer('image', self._new(f'add i64 {index}, {offset}'))}")

    def _word(self, number: int, values: _Values) -> str:
        if number not in values.words:
            values.words[number] = self._new(f"load i64, ptr {self._pointer('state', number)}")
        return values.words[number]

    def _set_word(self, number: int, value: str, values: _Values) -> None:
        values.words[number] = value
        values.dirty.add(number)

    def _flush(self, values: _Values) -> None:
        """Write the words of the state to memory."""
        for number in sorted(values.dirty):
            self._lines.append(f"store i64 {values.words[number]}, ptr {self._pointer('state', number)}")
        values.dirty.clear()

    def _load(self, values: _Values, slot: Slot) -> str:
        """Return the value in a slot."""
        if slot.bits == 0:
            return str(slot.low)
        value = self._word(slot.word, values)
        if slot.shift:
            value = self._new(f"lshr i64 {value}, {slot.shift}")
        if slot.shift + slot.bits < WORD:
            value = self._new(f"and i64 {value}, {_mask(slot)}")
        return self._new(f"add i64 {value}, {slot.low}") if slot.low else value

    def _raw(self, value: str, slot: Slot) -> str:
        """Return a value as it stands in a slot, moved there. Leaves the step if it has no room."""
        raw = self._new(f"sub i64 {value}, {slot.low}") if slot.low else value
        self._leave(self._new(f"icmp ugt i64 {raw}, {_mask(slot)}"), INTERPRET)
        return self._new(f"shl i64 {raw}, {slot.shift}") if slot.shift else raw

    def _store(self, value: str, slot: Slot, values: _Values) -> None:
        raw = self._raw(value, slot)
        if slot.bits:
            kept = self._new(f"and i64 {self._word(slot.word, values)}, {_word(~(_mask(slot) << slot.shift))}")
            self._set_word(slot.word, self._new(f"or i64 {kept}, {raw}"), values)

    def _returns(self, row: Row, values: _Values) -> bool:
        """Emit the end of the step, if the instruction is one."""
        op, counter = row[INSTR_OP], row[INSTR_A]
        if op == Op.FAIL:
            self._lines.append(f"ret i64 {INTERPRET}")
            return True
        place = self.program.next_place(self.actor, row)
        saves: tuple[tuple[int, Slot], ...] = ()
        if op == Op.HALT:
            counter = COUNTER_END
        elif place is not None:
            saves = self.program.resume(place).saves
        else:
            return False
        counter_slot = self.program.counters[self.actor]
        entered: dict[int, list[str]] = {}
        for register, slot in saves:
            raw = self._raw(self._read(register, values), slot)
            if slot.bits:
                entered.setdefault(slot.word, []).append(raw)
        entered.setdefault(counter_slot.word, []).append(_word(counter << counter_slot.shift))
        for number, cleared in self.program.cleared(self.actor).items():
            value = self._new(f"and i64 {self._word(number, values)}, {_word(~cleared)}")
            for raw in entered.get(number, ()):
                value = self._new(f"or i64 {value}, {raw}")
            self._set_word(number, value, values)
        self._flush(values)
        self._lines.append(f"ret i64 {STEPPED}")
        return True

    def _execute(self, row: Row, values: _Values) -> None:
        """Emit an instruction that goes on with the next one."""
        op, a, b, c = row[INSTR_OP], row[INSTR_A], row[INSTR_B], row[INSTR_C]
        if op in BINARY or op in (Op.DIV, Op.MOD):
            values.registers[a] = self._binary(Op(op), self._read(b, values), self._read(c, values))
        elif op in _EXECUTE:
            _EXECUTE[Op(op)](self, row, values)
        elif op != Op.EVENT:
            raise ValueError(f"no native code for {Op(op).name}")

    def _binary(self, op: Op, left: str, right: str) -> str:
        if op in COMPARISONS:
            return self._truth(self._new(f"icmp {BINARY[op]} i64 {left}, {right}"))
        if op in (Op.SHL, Op.SHR) and not _is_number(right, 0, WORD - 1):
            self._leave(self._new(f"icmp uge i64 {right}, {WORD}"), INTERPRET)
        if op in BINARY:
            return self._new(f"{BINARY[op]} i64 {left}, {right}")
        if not _is_number(right, 1):
            self._leave(self._new(f"icmp slt i64 {right}, 1"), INTERPRET)
        remainder = self._new(f"srem i64 {left}, {right}")
        below = self._new(f"icmp slt i64 {remainder}, 0")
        if op == Op.MOD:
            return self._new(f"select i1 {below}, i64 {self._new(f'add i64 {remainder}, {right}')}, i64 {remainder}")
        return self._new(f"sub i64 {self._new(f'sdiv i64 {left}, {right}')}, {self._truth(below)}")

    def _load_variable(self, row: Row, values: _Values) -> None:
        values.registers[row[INSTR_A]] = self._load(values, Slot(*row[INSTR_B:]))

    def _store_variable(self, row: Row, values: _Values) -> None:
        self._store(self._read(row[INSTR_A], values), Slot(*row[INSTR_B:]), values)

    def _slot_of(self, column: int, index: str) -> tuple[str, str, str, str]:
        """Return word, shift, bits and lowest value of a variable, by the number of its record."""
        scaled = self._new(f"mul i64 {index}, {SLOT}")
        first = self.program.variables + (column - 1) * SLOT
        word, shift, bits, low = (self._entry(scaled, first + n) for n in range(SLOT))
        return word, shift, bits, low

    def _load_column(self, row: Row, values: _Values) -> None:
        self._flush(values)
        word, shift, bits, low = self._slot_of(row[INSTR_B], self._read(row[INSTR_C], values))
        found = self._new(f"load i64, ptr {self._pointer('state', word)}")
        found = self._new(f"and i64 {self._new(f'lshr i64 {found}, {shift}')}, {self._mask(bits)}")
        values.registers[row[INSTR_A]] = self._new(f"add i64 {found}, {low}")

    def _store_column(self, row: Row, values: _Values) -> None:
        self._flush(values)
        word, shift, bits, low = self._slot_of(row[INSTR_A], self._read(row[INSTR_B], values))
        raw = self._new(f"sub i64 {self._read(row[INSTR_C], values)}, {low}")
        self._leave(self._new(f"icmp ne i64 {self._new(f'lshr i64 {raw}, {bits}')}, 0"), INTERPRET)
        kept = self._new(f"xor i64 {self._new(f'shl i64 {self._mask(bits)}, {shift}')}, -1")
        place = self._pointer("state", word)
        kept = self._new(f"and i64 {self._new(f'load i64, ptr {place}')}, {kept}")
        found = self._new(f"or i64 {kept}, {self._new(f'shl i64 {raw}, {shift}')}")
        self._lines.append(f"store i64 {found}, ptr {place}")
        values.words.clear()

    def _mask(self, bits: str) -> str:
        return self._new(f"sub i64 {self._new(f'shl i64 1, {bits}')}, 1")

    def _table(self, row: Row, values: _Values) -> None:
        first = self.program.tables + row[INSTR_B]
        values.registers[row[INSTR_A]] = self._entry(self._read(row[INSTR_C], values), first)

    def _move(self, row: Row, values: _Values) -> None:
        values.registers[row[INSTR_A]] = self._read(row[INSTR_B], values)

    def _not(self, row: Row, values: _Values) -> None:
        values.registers[row[INSTR_A]] = self._truth(self._is_zero(self._read(row[INSTR_B], values)))

    def _negate(self, row: Row, values: _Values) -> None:
        values.registers[row[INSTR_A]] = self._new(f"sub i64 0, {self._read(row[INSTR_B], values)}")

    def _invert(self, row: Row, values: _Values) -> None:
        values.registers[row[INSTR_A]] = self._new(f"xor i64 {self._read(row[INSTR_B], values)}, -1")

    def _wait(self, row: Row, values: _Values) -> None:
        self._leave(self._is_zero(self._read(row[INSTR_A], values)), BLOCKED)

    def _symmetric(self, row: Row, values: _Values) -> None:
        self._leave(self._new(f"icmp ne i64 {self._read(row[INSTR_A], values)}, 0"), SYMMETRIC)

    def _choose(self, row: Row, values: _Values) -> None:
        self._lines.append(f"store i64 {row[INSTR_B]}, ptr {self._pointer('out', OUT_CHOICES)}")
        values.registers[row[INSTR_A]] = "%choice"

    def _acquire(self, row: Row, _values: _Values) -> None:
        self._lines.append(f"store i8 1, ptr {self._pointer('cover', row[INSTR_A], 'i8')}")

    def _reach(self, row: Row, values: _Values) -> None:
        is_there = self._new(f"icmp ne i64 {self._read(row[INSTR_A], values)}, 0")
        place = self._pointer("cover", row[INSTR_B], "i8")
        mark = self._new(f"or i8 {self._new(f'load i8, ptr {place}')}, {self._new(f'zext i1 {is_there} to i8')}")
        self._lines.append(f"store i8 {mark}, ptr {place}")


_EXECUTE: dict[Op, Callable[[PlaceFunction, Row, _Values], None]] = {
    Op.LOAD: PlaceFunction._load_variable,
    Op.STORE: PlaceFunction._store_variable,
    Op.LOADX: PlaceFunction._load_column,
    Op.STOREX: PlaceFunction._store_column,
    Op.TABLE: PlaceFunction._table,
    Op.MOVE: PlaceFunction._move,
    Op.NOT: PlaceFunction._not,
    Op.NEG: PlaceFunction._negate,
    Op.INVERT: PlaceFunction._invert,
    Op.BLOCK: PlaceFunction._wait,
    Op.SYMMETRIC: PlaceFunction._symmetric,
    Op.CHOOSE: PlaceFunction._choose,
    Op.ACQUIRE: PlaceFunction._acquire,
    Op.REACH: PlaceFunction._reach,
}
"""How each instruction that is no jump, no end and no operation on two registers is emitted."""


def _phi(at: int, register: int) -> str:
    return f"p{at}.{register}" if register != FUEL else f"p{at}.fuel"


def _mask(slot: Slot) -> int:
    """Return the bits of a slot, not moved to their place."""
    return (1 << slot.bits) - 1


def _word(bits: int) -> str:
    """Return a word of bits as LLVM writes it, as a signed number."""
    bits &= (1 << WORD) - 1
    return str(bits - (bits >> (WORD - 1) << WORD))


def _is_number(value: str, low: int, high: int = MAX_INSTRUCTIONS) -> bool:
    """Return whether a value is a constant between two numbers."""
    return not value.startswith("%") and low <= int(value) <= high
