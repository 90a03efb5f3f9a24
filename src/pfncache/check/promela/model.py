# SPDX-License-Identifier: GPL-2.0-only
"""Writes a linked system as Promela, so that SPIN searches the same transition system.

A place of an actor is a place of a process, a transition one d_step, a variable of the state a variable with as many
bits. Registers that live on from one step to the next are locals, and zero while nobody needs them. What else Promela
needs to say it, scratch variables and where a step leads, is zero again when the step is over.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from pfncache.check.ir import Column, Op, Variable
from pfncache.check.link import Program
from pfncache.check.promela.places import Places
from pfncache.check.promela.step import ENDS, HALT, Step, Way
from pfncache.check.promela.text import Expr, Names, apply, declare, number
from pfncache.check.search import Search


def to_promela(search: Search, title: str) -> str:
    """The transition system that `search` searches, as a Promela model. `title` is the comment at its top."""
    return Model(search).text(title)


@dataclass
class _Process:
    """What one actor needs to be declared."""

    name: str
    locals: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)


class Model:
    """A whole system."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.program: Program = search.program
        self.compiled = self.program.compiled
        self.names = Names()
        self.variables = {v: self.names.of(self.compiled.heap.text(v)) for v in self.program.slots}
        self.scratch = 0
        """Scratch variables, as many as the step that needs most of them."""
        self.actors = [self.names.of(a.name) for a in self.compiled.system.actors]
        self.interrupters = self._interrupters()

    def _interrupters(self) -> dict[int, str]:
        """For each actor that interrupts another, the flag that says that it has begun and not ended."""
        return {
            number: self.names.of(f"in_{self.actors[number]}")
            for number, actor in enumerate(self.compiled.system.actors)
            if actor.interrupts is not None
        }

    def stopped_by(self, actor: int) -> str | None:
        """The flag that says that an actor's CPU is busy with an interrupt."""
        name = self.compiled.system.actors[actor].name
        for other, flag in self.interrupters.items():
            if self.compiled.system.actors[other].interrupts == name:
                return flag
        return None

    def load(self, variable: Variable) -> Expr:
        """The value of a variable."""
        slot = self.program.slots.get(variable)
        if slot is None:
            return number(self.compiled.heap.initial(variable))
        name = self.variables[variable]
        return apply(Op.ADD, Expr(name, frozenset({name})), number(slot.low))

    def column(self, column: Column) -> list[Variable]:
        """The variables of a column, by record number from 1."""
        return self.compiled.heap.variables(column)

    def text(self, title: str) -> str:
        """The model."""
        private = self._private()
        processes = [self._actor(actor, private) for actor in range(len(self.actors))]
        end = self._at_end()
        lines = [f"/* {line} */" for line in title.splitlines()]
        for variable, slot in self.program.slots.items():
            if variable not in private:
                lines.append(declare(self.variables[variable], slot.bits, self._initial(variable)))
        ended = sum(self.program.counter(self.search.initial, a) == 0 for a in range(len(self.actors)))
        lines.append(declare("ended", len(self.actors).bit_length(), ended))
        lines += [declare(flag, 1, 0) for flag in self.interrupters.values()]
        lines += [f"short t{n};" for n in range(self.scratch)]
        for process in processes:
            lines += [
                "",
                f"active proctype {process.name}() {{",
                *(f"\t{x}" for x in process.locals),
                *process.body,
                "}",
            ]
        return "\n".join([*lines, *end, ""])

    def _initial(self, variable: Variable) -> int:
        slot = self.program.slots[variable]
        return (int(self.search.initial[slot.word]) >> slot.shift) & ((1 << slot.bits) - 1)

    def _private(self) -> dict[Variable, int]:
        """The variables that a single actor uses: locals of its process, as SPIN's reduction wants it."""
        users: dict[Variable, set[int]] = defaultdict(set)
        for actor, code in enumerate(self.compiled.codes):
            for instr in code.instrs:
                for operand in instr.args:
                    if isinstance(operand, Variable):
                        users[operand].add(actor)
                    elif isinstance(operand, Column):
                        for variable in self.column(operand):
                            users[variable].add(actor)
        return {
            v: min(a) for v, a in users.items() if v in self.program.slots and len(a) == 1 and min(a) < len(self.actors)
        }

    def _actor(self, actor: int, private: dict[Variable, int]) -> _Process:
        process = _Process(self.actors[actor])
        places = Places(self, actor)
        process.locals = [
            declare(self.variables[v], self.program.slots[v].bits, self._initial(v))
            for v, a in private.items()
            if a == actor
        ]
        process.body = places.text()
        process.locals += places.declarations()
        return process

    def _at_end(self) -> list[str]:
        """What is asked when every actor is done: a step that changes nothing."""
        if self.compiled.system.at_end is None:
            return []
        code = self.compiled.codes[len(self.actors)]
        everything = frozenset(i for i, instr in enumerate(code.instrs) if instr.op in ENDS)
        step = Step(self, code, {}, None, 0, Way(0, everything, HALT))
        guard = f"\t:: d_step {{ ended == {len(self.actors)} ->"
        return ["", "active proctype at_end() {", "end_all:\tdo", guard, *step.statements(), "\t}", "\tod", "}"]
