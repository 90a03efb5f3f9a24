# SPDX-License-Identifier: GPL-2.0-only
"""What the exports to all languages have in common."""

from __future__ import annotations

from pfncache.check.export.expression import Expr, number
from pfncache.check.export.names import Names
from pfncache.check.ir import Column, Variable
from pfncache.check.program.layout import Program
from pfncache.check.search import Search


class Model:
    """A linked system, and the exported names of its variables and actors."""

    def __init__(self, search: Search, names: Names) -> None:
        self.search = search
        self.program: Program = search.program
        self.compiled = self.program.compiled
        self.names = names
        self.variables = {v: names.of(self.compiled.heap.text(v)) for v in self.program.slots}
        self.actors = [names.of(a.name) for a in self.compiled.system.actors]

    def load(self, variable: Variable) -> Expr:
        """Return the value of a variable as an expression."""
        if variable in self.program.slots:
            return self.held(variable)
        return number(self.compiled.heap.initial(variable))

    def held(self, variable: Variable) -> Expr:
        """Return the value of a variable that is written as an expression."""
        raise NotImplementedError

    def column(self, column: Column) -> list[Variable]:
        """Return the variables of a column, by record number from 1."""
        return self.compiled.heap.variables(column)

    def initial(self, variable: Variable) -> int:
        """Return the initial raw value of a variable: its value without the lowest one of its slot."""
        slot = self.program.slots[variable]
        return (int(self.search.initial[slot.word]) >> slot.shift) & ((1 << slot.bits) - 1)

    def interrupter(self, actor: int) -> int | None:
        """Return the actor that interrupts this one; None if there is none."""
        actors = self.compiled.system.actors
        return next((n for n, other in enumerate(actors) if other.interrupts == actors[actor].name), None)
