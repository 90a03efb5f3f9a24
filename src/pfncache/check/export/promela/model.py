# SPDX-License-Identifier: GPL-2.0-only
"""Export of a linked system to Promela: SPIN searches the same transition system.

A place of an actor is a label of a process, a transition is one d_step (atomic where it is too long for SPIN), a
variable of the state is a variable with as many bits. Registers that are live between steps are locals, which are 0
while no live register is in them. Scratch variables are 0 at the end of each step, so that they add no states.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from pfncache.check.code import Code
from pfncache.check.export.expression import Expr, apply, named, number
from pfncache.check.export.model import Model
from pfncache.check.export.names import Names
from pfncache.check.export.promela.places import Places
from pfncache.check.export.promela.step import PromelaStatements, Way
from pfncache.check.export.promela.text import RESERVED, declare, indivisible
from pfncache.check.export.step import ENDS, HALT
from pfncache.check.ir import Column, Instr, Variable
from pfncache.check.ops import STORES, Op
from pfncache.check.search import Search


def to_promela(search: Search, title: str) -> str:
    """Return the transition system of `search` as a Promela model. `title` is the comment at its top."""
    return Promela(search).text(title)


@dataclass
class _Process:
    """The declaration of one actor."""

    name: str
    locals: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)


class Promela(Model):
    """A linked system as a Promela model."""

    def __init__(self, search: Search) -> None:
        super().__init__(search, Names(RESERVED))
        self.scratch = 0
        """Number of scratch variables: the maximum over the steps."""
        self.saved: dict[str, int] = {}
        """The variables that the check at the end puts values back from, and their bits."""
        self.flags = {
            number: self.names.of(f"in_{self.actors[number]}")
            for number, actor in enumerate(self.compiled.system.actors)
            if actor.interrupts is not None
        }
        """By actor that interrupts another: the flag that is set while it keeps the CPU."""

    def held(self, variable: Variable) -> Expr:
        """Return the expression of a variable, which holds its value without the lowest one."""
        return apply(Op.ADD, named(self.variables[variable]), number(self.program.slots[variable].low))

    def text(self, title: str) -> str:
        """Return the text of the model."""
        private = self._private()
        processes = [self._actor(actor, private) for actor in range(len(self.actors))]
        end = self._at_end()
        lines = [f"/* {line} */" for line in title.splitlines()]
        for variable, slot in self.program.slots.items():
            if variable not in private:
                lines.append(declare(self.variables[variable], slot.bits, self.initial(variable)))
        ended = sum(self.program.counter(self.search.initial, a) == 0 for a in range(len(self.actors)))
        lines.append(declare("ended", len(self.actors).bit_length(), ended))
        lines += [declare(flag, 1, 0) for flag in self.flags.values()]
        lines += [f"short t{n};" for n in range(self.scratch)]
        lines += [declare(name, bits, 0) for name, bits in self.saved.items()]
        for process in processes:
            lines += [
                "",
                f"active proctype {process.name}() {{",
                *(f"\t{x}" for x in process.locals),
                *process.body,
                "}",
            ]
        return "\n".join([*lines, *end, ""])

    def _private(self) -> dict[Variable, int]:
        """Return the variables that one actor alone uses; as locals of its process they help SPIN's reduction."""
        users: dict[Variable, set[int]] = defaultdict(set)
        for actor, code in enumerate(self.compiled.codes):
            for instr in code.instrs:
                for variable in self._subjects(instr):
                    users[variable].add(actor)
        return {
            v: min(a) for v, a in users.items() if v in self.program.slots and len(a) == 1 and min(a) < len(self.actors)
        }

    def _actor(self, actor: int, private: dict[Variable, int]) -> _Process:
        process = _Process(self.actors[actor])
        places = Places(self, self.flags, actor)
        process.locals = [
            declare(self.variables[v], self.program.slots[v].bits, self.initial(v))
            for v, a in private.items()
            if a == actor
        ]
        process.body = places.text()
        self.scratch = max(self.scratch, places.scratch)
        process.locals += places.declarations()
        return process

    def _at_end(self) -> list[str]:
        """Return the check at the end: a step that changes no variable, enabled once all actors have ended.

        The checker drops the state that the check leaves: it may refresh a cache. So each variable gets its value back.
        """
        if self.compiled.system.at_end is None:
            return []
        code = self.compiled.codes[len(self.actors)]
        everything = frozenset(i for i, instr in enumerate(code.instrs) if instr.op in ENDS)
        step = PromelaStatements(self, self.flags, code, None, 0, Way(0, everything, HALT))
        body = step.statements()
        stored = self._stored(code)
        self.saved = {f"s{n}": self.program.slots[v].bits for n, v in enumerate(stored)}
        saved = list(zip((self.variables[v] for v in stored), self.saved, strict=True))
        body = [
            *(f"\t\t\t{copy} = {name};" for name, copy in saved),
            *body,
            *(f"\t\t\t{name} = {value};" for variable, copy in saved for name, value in ((variable, copy), (copy, 0))),
        ]
        guard = f"\t:: {indivisible(body)} {{ ended == {len(self.actors)} ->"
        self.scratch = max(self.scratch, step.used)
        return ["", "active proctype at_end() {", "end_all:\tdo", guard, *body, "\t}", "\tod", "}"]

    def _stored(self, code: Code) -> list[Variable]:
        """Return the variables of a state that a code stores to."""
        found = {v for instr in code.instrs if instr.op in STORES for v in self._subjects(instr)}
        return [v for v in self.program.slots if v in found]

    def _subjects(self, instr: Instr) -> list[Variable]:
        """Return the variables that an instruction may load or store."""
        if isinstance(instr.subject, Variable):
            return [instr.subject]
        return self.column(instr.subject) if isinstance(instr.subject, Column) else []
