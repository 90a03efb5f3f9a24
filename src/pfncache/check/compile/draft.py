# SPDX-License-Identifier: GPL-2.0-only
"""The step code of a call while it is compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pfncache.check.compile.function_code import Body, FunctionCode, Inlined, LocalInstr, NewRegister
from pfncache.check.compile.transfer import abstract, registers_of
from pfncache.check.compile.unit import Unit
from pfncache.check.compile.values import Kind, Reg, Value
from pfncache.check.ir import Instr
from pfncache.check.ops import JUMPS, LOADS, STORES, Op

SHARED = LOADS | STORES | {Op.EVENT, Op.CHOOSE, Op.BLOCK}
"""Operations on the state, and those that only a step may have."""


class Draft:
    """Instructions and inlined calls, with registers and labels of their own."""

    def __init__(self, arguments: Sequence[Kind] = ()) -> None:
        self.instrs: list[Instr | Inlined] = []
        self.labels: dict[int, int] = {}
        self.label_count = 0
        self.kinds: dict[int, Kind] = dict(enumerate(arguments))
        """By register: the join of the kinds of all values that are assigned to it."""
        self.registers = len(arguments)
        self.depth = 0
        """Frames of the call stack, at most."""
        self._taken: list[Reg | int | Inlined] = []
        """Registers in the order in which they were taken: new ones, constants, results of inlined calls."""
        self._constants: dict[int, int] = {}

    def register(self, kind: Kind, variable: bool) -> Reg:
        """Return a new register."""
        made = Reg(self.registers, kind, variable)
        self.registers += 1
        self.kinds[made.number] = kind
        self._taken.append(made)
        return made

    def constant(self, number: int) -> int:
        """Return the register that holds `number`."""
        if number not in self._constants:
            self._constants[number] = self.registers
            self.registers += 1
            self._taken.append(number)
        return self._constants[number]

    def inline(self, inlined: Inlined, kinds: Mapping[int, Kind]) -> dict[int, int]:
        """Append the code of a call, with the kinds of its results.

        Returns the registers for those of the callee that hold the results.
        """
        if inlined.body.registers or inlined.body.rows:
            self._taken.append(inlined)
        if inlined.body.rows:
            self.instrs.append(inlined)
        found = {}
        for register in inlined.results:
            found[register] = self.registers
            if register in kinds:
                self.kinds[self.registers] = kinds[register]
            self.registers += 1
        return found

    def touches_state(self, start: int = 0) -> bool:
        """Return whether what was appended from `start` on has operations that only a step may have."""
        return any(i.touches_state if isinstance(i, Inlined) else i.op in SHARED for i in self.instrs[start:])

    def finished(self, unit: Unit, result: Value, ends: bool) -> FunctionCode:
        """Return the code of the call, whose result is `result`."""
        outside = abstract(result, unit.heap)
        calls = {id(call): number for number, call in enumerate(w for w in self._taken if isinstance(w, Inlined))}
        jumps = {i.label for i in self.instrs if isinstance(i, Instr) and i.op in JUMPS}
        body = Body(
            rows=tuple([calls[id(i)] if isinstance(i, Inlined) else _row(i) for i in self.instrs]),
            labels=tuple([(label, at) for label, at in self.labels.items() if label in jumps]),
            label_count=self.label_count + 1,
            registers=tuple([self._register(what) for what in self._taken]),
        )
        return FunctionCode(
            body=unit.memo.shared(body),
            result=result if outside is None else outside,
            kinds={r.number: self.kinds[r.number] for r in registers_of(result) if r.number in self.kinds},
            ends=ends,
            touches_state=self.touches_state(),
            depth=self.depth,
            facts=unit.needed,
            asked=unit.asked,
            varying=unit.varying,
            writes=unit.writes,
            used=unit.used,
            is_reusable=outside is not None,
        )

    def _register(self, what: Reg | int | Inlined) -> NewRegister | int | Inlined:
        return NewRegister(what.kind, what.variable, self.kinds[what.number]) if isinstance(what, Reg) else what


def _row(instr: Instr) -> LocalInstr:
    dest = instr.dest.number if instr.dest is not None else None
    return LocalInstr(instr.op, tuple([register.number for register in instr.reads]), dest, instr.subject)
