# SPDX-License-Identifier: GPL-2.0-only
"""The variables of an actor: its program counter, and its registers that live on between steps."""

from __future__ import annotations

from pfncache.check.export.expression import Expr, named
from pfncache.check.export.model import Model
from pfncache.check.export.registers import Registers
from pfncache.check.export.step import HALT


class Locals(Registers):
    """The program counter of an actor, and the variables for its registers."""

    def __init__(self, model: Model, actor: int) -> None:
        super().__init__(model, actor)
        self.name = model.actors[actor]
        self.counter = model.names.of(f"{self.name}_pc")
        self.names = [model.names.of(f"{self.name}_l{n}") for n in range(len(self.bits))]

    def named(self, register: int) -> str:
        """Return the name of a register's variable."""
        return self.names[self.home[register]]

    def value(self, register: int) -> Expr:
        """Return the expression of a register, whose variable holds the value itself."""
        return named(self.named(register))

    def cleared(self, place: int, target: int) -> list[str]:
        """Return the variables that a step from one place to another sets to 0."""
        return [self.names[home] for home in self.left(place, target)]

    def moved(self, target: int) -> dict[str, str]:
        """Return the assignment to the program counter."""
        return {self.counter: counter_at(target)}

    def initially(self) -> dict[str, int]:
        """Return the initial values."""
        values = dict(zip(self.names, self.initial, strict=True))
        for register in self.needed(self.start):
            values[self.named(register)] += self.room(register)[1]
        return {self.counter: int(counter_at(self.start)), **values}


def counter_at(place: int) -> str:
    """Return the program counter at a place: the instruction after it, and 0 at the end."""
    return str(0 if place == HALT else place + 1)
