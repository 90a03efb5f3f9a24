# SPDX-License-Identifier: GPL-2.0-only
"""Symbolic execution of a step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from pfncache.check.code import Code
from pfncache.check.compile.values import Reg
from pfncache.check.export.expression import ZERO, Expr, apply, number, select
from pfncache.check.export.model import Model
from pfncache.check.ir import Instr, Variable
from pfncache.check.ops import FINAL, Op
from pfncache.check.program.dataflow import successors
from pfncache.check.program.liveness import live

MAX_TEXT = 160
"""Characters; a longer expression gets a name of its own."""
HALT, FAIL = -1, -2
"""Instead of a place: the actor has ended, or a property is violated."""
ENDS = FINAL | {Op.EVENT}
"""Operations that end a step."""


def region_of(code: Code, first: int) -> list[int]:
    """Return the instructions that a step from `first` on may execute, in the order of the code."""
    follow = successors(code)
    seen = {first}
    todo = [first]
    while todo:
        i = todo.pop()
        if code.instrs[i].op == Op.EVENT:
            continue
        for j in follow[i]:
            if j not in seen:
                seen.add(j)
                todo.append(j)
    return sorted(seen)


class SymbolicStep:
    """A step executed symbolically: registers and variables as expressions of the state in which it begins."""

    def __init__(self, model: Model, code: Code) -> None:
        self.code = code
        self.columns = model.column
        self.loads = model.load
        self.constants = {r: number(v) for v, r in code.constants.items()}
        self.live = live(code)

    def joins_of(self, region: Collection[int]) -> set[int]:
        """Return the instructions of a region with several predecessors in it."""
        arrivals: dict[int, int] = defaultdict(int)
        follow = successors(self.code)
        for i in region:
            if self.code.instrs[i].op not in ENDS:
                for j in set(follow[i]):
                    arrivals[j] += 1
        return {i for i, count in arrivals.items() if count > 1 and i in region and self.code.instrs[i].op not in ENDS}

    def read(self, env: dict[int, Expr], register: Reg) -> Expr:
        """Return the value of a register; 0 if it has not been written."""
        return self.constants.get(register.number) or env.get(register.number, ZERO)

    def value(self, env: dict[int, Expr], instr: Instr, stored: dict[Variable, Expr], outcome: Expr) -> Expr:
        """Return the value that an instruction writes to its register; `outcome` is that of a choice."""

        def load(variable: Variable) -> Expr:
            return stored.get(variable) or self.loads(variable)

        if instr.op == Op.LOAD:
            return load(instr.variable)
        if instr.op == Op.CHOOSE:
            return outcome
        operands = [self.read(env, register) for register in instr.reads]
        if instr.op == Op.LOADX:
            return _pick(operands[0], [ZERO, *map(load, self.columns(instr.column))])
        if instr.op == Op.TABLE:
            return _pick(operands[0], [number(n) for n in instr.table])
        return apply(instr.op, *operands)

    def store(self, env: dict[int, Expr], instr: Instr, stored: dict[Variable, Expr]) -> None:
        """Add to `stored` what an instruction stores."""
        if instr.op == Op.STORE:
            stored[instr.variable] = self.read(env, instr.value)
            return
        index, value = self.read(env, instr.index), self.read(env, instr.value)
        for n, variable in enumerate(self.columns(instr.column), 1):
            old = stored.get(variable) or self.loads(variable)
            stored[variable] = select(apply(Op.EQ, index, number(n)), value, old)


def _pick(index: Expr, values: list[Expr]) -> Expr:
    if index.value is not None:
        return values[index.value]
    result = values[-1]
    for n in range(len(values) - 2, 0, -1):
        result = select(apply(Op.EQ, index, number(n)), values[n], result)
    return result
