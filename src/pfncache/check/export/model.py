# SPDX-License-Identifier: GPL-2.0-only
"""A linked system, as every language has it."""

from __future__ import annotations

from pfncache.check.export.expression import Expr, number
from pfncache.check.export.names import Names
from pfncache.check.ir import Column, Variable
from pfncache.check.program.layout import Program
from pfncache.check.search import Search


class Model:
    """A whole system, and what its variables and actors are called."""

    def __init__(self, search: Search, names: Names) -> None:
        self.search = search
        self.program: Program = search.program
        self.compiled = self.program.compiled
        self.names = names
        self.variables = {v: names.of(self.compiled.heap.text(v)) for v in self.program.slots}
        self.actors = [names.of(a.name) for a in self.compiled.system.actors]

    def load(self, variable: Variable) -> Expr:
        """The value of a variable."""
        if variable in self.program.slots:
            return self.held(variable)
        return number(self.compiled.heap.initial(variable))

    def held(self, variable: Variable) -> Expr:
        """The value of a variable that is written."""
        raise NotImplementedError

    def column(self, column: Column) -> list[Variable]:
        """The variables of a column, by record number from 1."""
        return self.compiled.heap.variables(column)

    def initial(self, variable: Variable) -> int:
        """What the bits of a variable are at the start: its value without the lowest one."""
        slot = self.program.slots[variable]
        return (int(self.search.initial[slot.word]) >> slot.shift) & ((1 << slot.bits) - 1)

    def interrupter(self, actor: int) -> int | None:
        """The actor that interrupts this one."""
        actors = self.compiled.system.actors
        return next((n for n, other in enumerate(actors) if other.interrupts == actors[actor].name), None)
