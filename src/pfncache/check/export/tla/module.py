# SPDX-License-Identifier: GPL-2.0-only
"""Export of a linked system to a module of TLA+: TLC searches the same transition system.

A place of an actor is a value of its program counter, a transition is an action, a variable of the state is a variable.
Registers that are live between steps are variables of their actor, which are 0 while no live register is in them.
"""

from __future__ import annotations

import re
from functools import partial

from pfncache.check.export.expression import Expr, named
from pfncache.check.export.model import Model
from pfncache.check.export.names import Names
from pfncache.check.export.tla.action import Action
from pfncache.check.export.tla.assignment import Assignment
from pfncache.check.export.tla.locals import Locals, counter_at
from pfncache.check.export.tla.text import PRELUDE, RESERVED, listing
from pfncache.check.ir import Ref, Variable
from pfncache.check.search import Search

CONFIGURATION = """\
SPECIFICATION Spec
INVARIANT NothingFails
"""
"""TLC's configuration file: no property is violated; TLC always checks for deadlocks."""


def is_name(name: str) -> bool:
    """Return whether a module may have this name."""
    return re.fullmatch(r"\w*[A-Za-z]\w*", name, re.ASCII) is not None and RESERVED.fullmatch(name) is None


def to_tla(search: Search, name: str, title: str) -> str:
    """Return the transition system of `search` as module `name`. `title` is the comment at its top."""
    return TlaModule(search).text(name, title)


class TlaModule(Model):
    """A linked system as a module of TLA+."""

    def __init__(self, search: Search) -> None:
        super().__init__(search, Names(RESERVED))
        self.locals = [Locals(self, actor) for actor in range(len(self.actors))]
        self.initially: dict[str, int] = {}
        """Initial value of every variable but `failed`."""
        self.groups: dict[str, list[str]] = {}
        """Tuples with a name: the variables of a record or of an actor, and tuples of such tuples."""
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
        self.assignment = Assignment(self.groups)

    def held(self, variable: Variable) -> Expr:
        """Return the expression of a variable."""
        return named(self.variables[variable])

    def text(self, name: str, title: str) -> str:
        """Return the text of the module."""
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
        """Return the action of a place, and the places that it leads to."""
        action = Action(self, self.assignment, own.code, own, place)
        body = action.lines()
        names.append(self.names.of(f"{own.name}_{counter_at(place)}"))
        guards = [f"{own.counter} = {counter_at(place)}"]
        other = self.interrupter(own.actor)
        if other is not None:  # the actor has the CPU before the interrupt begins and after it has ended
            guards.append(f"{self.locals[other].counter} \\in {{{counter_at(self.locals[other].start)}, 0}}")
        head = ["", f"\\* {own.source(place)}", f"{names[-1]} =="]
        return [*head, *_junction(guards + action.waits, body)], list(action.targets)

    def _at_end(self) -> list[str]:
        """Return the check at the end: an action that changes nothing, so that the end is not a deadlock."""
        guards = [f"{own.counter} = 0" for own in self.locals]
        body = self.assignment.conjuncts({})
        if self.compiled.system.at_end is not None:
            check = Action(self, self.assignment, self.compiled.codes[len(self.actors)], None, 0)
            body = check.lines()
            guards += check.waits
        return ["Ended ==", *_junction(guards, body)]


def _junction(guards: list[str], body: list[str]) -> list[str]:
    if not body[0].startswith("/\\"):
        body = [f"/\\ {body[0]}", *(f"   {line}" for line in body[1:])]
    return [f"  {line}" for line in (*(f"/\\ {guard}" for guard in guards), *body)]
