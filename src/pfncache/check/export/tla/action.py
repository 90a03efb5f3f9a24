# SPDX-License-Identifier: GPL-2.0-only
"""A step as an action of TLA+.

The branches of the step code are IF THEN ELSE. Where paths join, the rest is a definition, whose parameters are what
the paths have computed and stored so far.
"""

from __future__ import annotations

from collections import defaultdict

from pfncache.check.code import Code
from pfncache.check.export.expression import ZERO, Expr, Logic, named, negate
from pfncache.check.export.model import Model
from pfncache.check.export.step import ENDS, HALT, MAX_TEXT, SymbolicStep, region_of
from pfncache.check.export.tla.assignment import Assignment
from pfncache.check.export.tla.locals import Locals
from pfncache.check.export.tla.text import test, text
from pfncache.check.ir import Variable
from pfncache.check.ops import BRANCHES, STORES, Op
from pfncache.check.program.dataflow import successors


class Action(SymbolicStep):
    """The step from a place; without `locals_`, the check at the end."""

    def __init__(self, model: Model, assignment: Assignment, code: Code, locals_: Locals | None, place: int) -> None:
        super().__init__(model, code)
        self.assignment = assignment
        self.variables = model.variables
        self.locals = locals_
        self.place = place
        self.first = place + 1 if locals_ is not None else 0
        self.kept = locals_.kept(place) if locals_ is not None else {}
        self.order = self._order()
        self.joins = self.joins_of(self.order)
        self.written = self._written()
        self.called: set[int] = set()
        """The joins that some path reaches."""
        self.waits: list[str] = []
        """Conditions that it waits for on every path."""
        self.temporaries = 0
        self.targets: dict[int, None] = {}
        """The places that it leads to, in the order of the text."""

    def _order(self) -> list[int]:
        """Return the instructions in topological order."""
        follow = successors(self.code)
        waits: dict[int, int] = defaultdict(int)
        region = region_of(self.code, self.first)
        for i in region:
            if self.code.instrs[i].op not in ENDS:
                for j in follow[i]:
                    waits[j] += 1
        order = [self.first] if not waits[self.first] else []
        for i in order:
            if self.code.instrs[i].op in ENDS:
                continue
            for j in follow[i]:
                waits[j] -= 1
                if not waits[j]:
                    order.append(j)
        if len(order) < len(region):
            raise NotImplementedError("a loop within one step cannot be exported to TLA+")
        return order

    def _written(self) -> dict[int, dict[int | Variable, None]]:
        """Return, for each instruction, the registers and variables that some path to it has written."""
        follow = successors(self.code)
        before: dict[int, dict[int | Variable, None]] = defaultdict(dict)
        for i in self.order:
            instr = self.code.instrs[i]
            if instr.op in ENDS:
                continue
            after = dict(before[i])
            if instr.dest is not None:
                after[instr.dest.number] = None
            elif instr.op == Op.STORE:
                after[instr.variable] = None
            elif instr.op == Op.STOREX:
                after |= dict.fromkeys(self.columns(instr.column))
            for j in follow[i]:
                before[j] |= after
        return before

    def lines(self) -> list[str]:
        """Return the action without its guards; sets `waits` and `targets`."""
        body = self._path(self.first, dict(self.kept), {}, main=True)
        definitions: list[list[str]] = []
        for i in self.order:
            if i in self.called:
                names = {known: f"p{n}" for n, known in enumerate(self._brought(i), 1)}
                env = {r: e for r, e in self.kept.items() if r not in self.written[i]}
                env |= {r: named(name) for r, name in names.items() if isinstance(r, int)}
                stored = {v: named(name) for v, name in names.items() if isinstance(v, Variable)}
                head = f"J{i}({', '.join(names.values())}) ==" if names else f"J{i} =="
                definitions.append([head, *_indented(self._path(i, env, stored))])
        if not definitions:
            return body
        return ["LET", *_indented([line for d in reversed(definitions) for line in d]), "IN", *_indented(body)]

    def _brought(self, join: int) -> list[int | Variable]:
        return [w for w in self.written[join] if isinstance(w, Variable) or w in self.live[join]]

    def _call(self, join: int, env: dict[int, Expr], stored: dict[Variable, Expr]) -> list[str]:
        self.called.add(join)
        arguments = [
            text(env.get(w, ZERO) if isinstance(w, int) else stored.get(w) or self.loads(w))
            for w in self._brought(join)
        ]
        return [f"J{join}({', '.join(arguments)})" if arguments else f"J{join}"]

    def _goes(self, i: int, env: dict[int, Expr], stored: dict[Variable, Expr]) -> list[str]:
        return self._call(i, env, stored) if i in self.joins else self._path(i, dict(env), dict(stored))

    def _path(self, i: int, env: dict[int, Expr], stored: dict[Variable, Expr], main: bool = False) -> list[str]:
        """Return the text from an instruction to the ends of the step. It recurs for THEN, not for ELSE and IN."""
        lines: list[str] = []

        def say(head: str, *then: str) -> None:
            lines.append(f"{lines.pop()} {head}" if lines[-1:] == ["ELSE"] else head)
            lines.extend(then)

        def branch(condition: Expr, then: list[str]) -> None:
            say(f"IF {test(condition)} THEN", *_indented(then), "ELSE")

        def keep(head: str, register: int) -> None:
            self.temporaries += 1
            env[register] = named(f"t{self.temporaries}")
            say(head.format(env[register].name))

        while True:
            instr = self.code.instrs[i]
            if instr.op in ENDS:
                return [*lines, *_indented(self._end(i, env, stored), bool(lines))]
            i += 1
            if instr.op in BRANCHES:
                condition = self.read(env, instr.condition)
                target = self.code.labels[instr.label]
                yes, no = (i, target) if instr.op == Op.JZ else (target, i)
                if condition.value is None:
                    if self._is_short(no) and not self._is_short(yes):
                        condition, yes, no = negate(condition), no, yes
                    branch(condition, self._goes(yes, env, stored))
                    i = no
                else:
                    i = yes if condition.value else no
            elif instr.op == Op.JUMP:
                i = self.code.labels[instr.label]
            elif instr.op == Op.BLOCK:
                awaited = self.read(env, instr.condition)
                if awaited.value is None and main and not lines:
                    self.waits.append(test(awaited))
                elif awaited.value is None:
                    branch(negate(awaited), ["FALSE"])
                elif not awaited.value:
                    return [*lines, "FALSE"]
            elif instr.op in STORES:
                self.store(env, instr, stored)
            elif instr.dest is not None:
                register = instr.dest.number
                if instr.op == Op.CHOOSE:
                    keep(f"\\E {{}} \\in 0 .. {instr.outcomes - 1} :", register)
                elif register in self.live[i]:
                    env[register] = self.value(env, instr, stored, ZERO)
                    said = text(env[register])
                    if env[register].op == Logic.SELECT or len(said) > MAX_TEXT:
                        keep(f"LET {{}} == {said} IN", register)
            if i in self.joins:
                return [*lines, *_indented(self._call(i, env, stored), bool(lines))]

    def _is_short(self, i: int) -> bool:
        return self.code.instrs[i].op in ENDS or i in self.joins

    def _end(self, i: int, env: dict[int, Expr], stored: dict[Variable, Expr]) -> list[str]:
        instr = self.code.instrs[i]
        if instr.op == Op.FAIL:
            return self.assignment.conjuncts({"failed": f'"{instr.failure.kind}"'})
        if self.locals is None:
            return self.assignment.conjuncts({})
        target = i if instr.op == Op.EVENT else HALT
        self.targets[target] = None
        new = {self.variables[v]: e for v, e in stored.items() if e != self.loads(v)}
        for register in self.locals.needed(target):
            value = env.get(register, ZERO)
            if value != self.locals.value(register):
                new[self.locals.named(register)] = value
        new |= dict.fromkeys(self.locals.cleared(self.place, target), ZERO)
        return self.assignment.conjuncts({name: text(e) for name, e in new.items()} | self.locals.moved(target))


def _indented(lines: list[str], wanted: bool = True) -> list[str]:
    return [f"  {line}" for line in lines] if wanted else lines
