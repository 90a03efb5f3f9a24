# SPDX-License-Identifier: GPL-2.0-only
"""Writes a linked system as a module of TLA+, so that TLC searches the same transition system.

A place of an actor is a value of its program counter, a transition an action, a variable of the state a variable.
Registers that live on from one step to the next are variables of their actor, and zero while nobody needs them.
"""

from __future__ import annotations

import re
from functools import partial

from pfncache.check.export.expression import Expr, named
from pfncache.check.export.model import Model
from pfncache.check.export.names import Names
from pfncache.check.export.registers import Registers
from pfncache.check.export.step import HALT
from pfncache.check.export.tla.action import Action
from pfncache.check.export.tla.text import PRELUDE, RESERVED, listing
from pfncache.check.ir import Ref, Variable
from pfncache.check.search import Search

CONFIGURATION = """\
SPECIFICATION Spec
INVARIANT NothingFails
"""
"""What TLC is asked, in a file of its own: that nothing fails, and, as always, that there is no deadlock."""


def is_name(name: str) -> bool:
    """Whether a module may be called so."""
    return re.fullmatch(r"\w*[A-Za-z]\w*", name, re.ASCII) is not None and RESERVED.fullmatch(name) is None


def to_tla(search: Search, name: str, title: str) -> str:
    """The transition system that `search` searches, as module `name`. `title` is the comment at its top."""
    return Module(search).text(name, title)


class Locals(Registers):
    """The program counter of an actor, and the variables for its registers."""

    def __init__(self, module: Module, actor: int) -> None:
        super().__init__(module, actor)
        self.name = module.actors[actor]
        self.counter = module.names.of(f"{self.name}_pc")
        self.names = [module.names.of(f"{self.name}_l{n}") for n in range(len(self.bits))]

    def named(self, register: int) -> str:
        """The variable that keeps a register."""
        return self.names[self.home[register]]

    def value(self, register: int) -> Expr:
        """Its variable holds the value itself."""
        return named(self.named(register))

    def cleared(self, place: int, target: int) -> list[str]:
        """The variables that a step from one place to another sets to zero."""
        return [self.names[home] for home in self.left(place, target)]

    def moved(self, target: int) -> dict[str, str]:
        """The assignment to the program counter."""
        return {self.counter: _counter(target)}

    def initially(self) -> dict[str, int]:
        """What they are at the start."""
        values = dict(zip(self.names, self.initial, strict=True))
        for register in self.needed(self.start):
            values[self.named(register)] += self.room(register)[1]
        return {self.counter: int(_counter(self.start)), **values}


class Module(Model):
    """A whole system."""

    def __init__(self, search: Search) -> None:
        super().__init__(search, Names(RESERVED))
        self.locals = [Locals(self, actor) for actor in range(len(self.actors))]
        self.initially: dict[str, int] = {}
        """Every variable but `failed`, and what it is at the start."""
        self.groups: dict[str, list[str]] = {}
        """What is called by one name: the variables of a record or of an actor, and tuples of tuples of them."""
        records: dict[Ref, str] = {}
        for variable, name in self.variables.items():
            if variable.record not in records:
                records[variable.record] = self.names.of(str(self.compiled.heap.holder(variable)))
            self.groups.setdefault(records[variable.record], []).append(name)
            self.initially[name] = self.initial(variable) + self.program.slots[variable].low
        for own in self.locals:
            self.groups[own.name] = [own.counter, *own.names]
            self.initially |= own.initially()
        if records:
            self.groups["memory"] = list(records.values())
        self.groups["vars"] = [*(["memory"] if records else []), *self.actors, "failed"]

    def held(self, variable: Variable) -> Expr:
        """A variable holds its value."""
        return named(self.variables[variable])

    def assigned(self, new: dict[str, str]) -> list[str]:
        """The conjuncts that say what every variable is after a step."""
        lines = [f"/\\ {name}' = {value}" for name, value in new.items()]
        same = self._unchanged("vars", new)
        return [*lines, f"/\\ UNCHANGED {listing(same) if len(same) > 1 else same[0]}"]

    def _unchanged(self, name: str, new: dict[str, str]) -> list[str]:
        """All of a group that is not new, in as few words as can be."""
        if name not in self.groups:
            return [] if name in new else [name]
        members = self.groups[name]
        same = [kept for member in members for kept in self._unchanged(member, new)]
        return [name] if same == members else same

    def text(self, name: str, title: str) -> str:
        """The module."""
        names: list[str] = []
        actions = [line for own in self.locals for line in own.written(partial(self._action, names, own))]
        declared = [g for g in self.groups.values() if not set(g) - self.initially.keys()]
        lines = [
            f"---- MODULE {name} ----",
            *(f"\\* {line}" for line in title.splitlines()),
            "EXTENDS Integers",
            "",
            "VARIABLES",
            *(f"  {', '.join(variables)}," for variables in declared),
            "  failed",
            "",
            *(f"{group} == {listing(members)}" for group, members in self.groups.items()),
            *PRELUDE,
            "",
            "Init ==",
            *(f"  /\\ {variable} = {value}" for variable, value in self.initially.items()),
            '  /\\ failed = ""',
            *actions,
            "",
            *self._at_end(),
            "",
            "Next ==",
            *(f"  \\/ {action}" for action in (*names, "Ended")),
            "",
            "Spec == Init /\\ [][Next]_vars",
            'NothingFails == failed = ""',
            "====",
            "",
        ]
        return "\n".join(lines)

    def _action(self, names: list[str], own: Locals, place: int) -> tuple[list[str], list[int]]:
        """A place, and where it leads."""
        action = Action(self, own.code, own, place)
        body = action.lines()
        names.append(self.names.of(f"{own.name}_{_counter(place)}"))
        guards = [f"{own.counter} = {_counter(place)}"]
        other = self.interrupter(own.actor)
        if other is not None:  # the CPU is ours before an interrupt and after it
            guards.append(f"{self.locals[other].counter} \\in {{{_counter(self.locals[other].start)}, 0}}")
        head = ["", f"\\* {own.source(place)}", f"{names[-1]} =="]
        return [*head, *_junction(guards + action.waits, body)], list(action.targets)

    def _at_end(self) -> list[str]:
        """What is asked when every actor is done: a step that changes nothing, so that this is no deadlock."""
        guards = [f"{own.counter} = 0" for own in self.locals]
        body = self.assigned({})
        if self.compiled.system.at_end is not None:
            question = Action(self, self.compiled.codes[len(self.actors)], None, 0)
            body = question.lines()
            guards += question.waits
        return ["Ended ==", *_junction(guards, body)]


def _junction(guards: list[str], body: list[str]) -> list[str]:
    if not body[0].startswith("/\\"):
        body = [f"/\\ {body[0]}", *(f"   {line}" for line in body[1:])]
    return [f"  {line}" for line in (*(f"/\\ {guard}" for guard in guards), *body)]


def _counter(place: int) -> str:
    """The program counter at a place: the instruction after it, and 0 at the end."""
    return str(0 if place == HALT else place + 1)
