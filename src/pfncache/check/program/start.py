# SPDX-License-Identifier: GPL-2.0-only
"""Where each actor stands in the initial state: at its first event that remains."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pfncache.check.code import Code
from pfncache.check.ir import Instr, Variable
from pfncache.check.ops import BRANCHES, EVALUATE, FINAL, LOADS, STORES, Op
from pfncache.check.system import Heap

MAX_INSTRUCTIONS = 1_000_000
"""Instructions before the first event, as interpreter.MAX_INSTRUCTIONS."""
NOWHERE = -1
"""Instead of an event: the actor violates a property before any, or does not get to one. The search reports that."""


def first_events(codes: list[Code], remain: Sequence[Collection[int]], heap: Heap) -> list[int | None]:
    """Return the event at which each actor stands first, by instruction index; None if it ends before any, or NOWHERE.

    `remain` has the events of each actor that remain. The actors run one after the other.
    """
    memory: dict[Variable, int] = {}
    found: list[int | None] = []
    for code, events in zip(codes, remain, strict=True):
        last = _Run(code, heap, memory).to_event(events)
        if last is None or code.instrs[last].op == Op.FAIL:
            found.append(NOWHERE)
        else:
            found.append(last if code.instrs[last].op == Op.EVENT else None)
    return found


class _Run:
    """The execution of an actor from its entry."""

    def __init__(self, code: Code, heap: Heap, memory: dict[Variable, int]) -> None:
        self.code = code
        self.heap = heap
        self.memory = memory
        """Variables that have been read or written so far."""
        self.registers = code.constant_registers()

    def to_event(self, remain: Collection[int]) -> int | None:
        """Return the index of the first event in `remain`, or that of the actor's end; None if it gets to neither."""
        instrs = self.code.instrs
        i = 0
        for _ in range(MAX_INSTRUCTIONS):
            instr = instrs[i]
            if instr.op in FINAL or (instr.op == Op.EVENT and i in remain):
                return i
            if instr.op == Op.BLOCK and not self._read(instr)[0]:
                return None
            jumps = instr.op == Op.JUMP or (instr.op in BRANCHES and (self._read(instr)[0] == 0) == (instr.op == Op.JZ))
            if not jumps:
                self._execute(instr)
            i = self.code.labels[instr.label] if jumps else i + 1
        return None

    def _read(self, instr: Instr) -> list[int]:
        return [self.registers.get(register.number, 0) for register in instr.reads]

    def _execute(self, instr: Instr) -> None:
        """Execute an instruction on registers, variables and constants; the first outcome of a choice is taken."""
        values = self._read(instr)
        if instr.op in STORES:
            self.memory[self._variable(instr, values)] = values[-1]
        if instr.dest is None:
            return
        if instr.op in LOADS:
            variable = self._variable(instr, values)
            if variable not in self.memory:
                self.memory[variable] = self.heap.initial(variable)
            result = self.memory[variable]
        elif instr.op == Op.TABLE:
            result = instr.table[values[0]]
        else:
            result = 0 if instr.op == Op.CHOOSE else EVALUATE[instr.op](*values)
        self.registers[instr.dest.number] = result

    def _variable(self, instr: Instr, values: list[int]) -> Variable:
        """Return the variable that a load or a store accesses."""
        if isinstance(instr.place, Variable):
            return instr.place
        return Variable(instr.column.kind, values[0], instr.column.name)
