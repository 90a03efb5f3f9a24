# SPDX-License-Identifier: GPL-2.0-only
"""One step as statements of Promela."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfncache.check.compile.values import Reg
from pfncache.check.export.expression import ZERO, Expr, apply, both, either, named, negate, number
from pfncache.check.export.promela.text import text
from pfncache.check.export.step import ENDS, FAIL, HALT, MAX_TEXT, Step, region_of
from pfncache.check.ir import WRITES_D, Code, Failure, Instr, Op, Variable
from pfncache.check.program.dataflow import bits_of, successors

if TYPE_CHECKING:
    from pfncache.check.export.promela.model import Promela
    from pfncache.check.export.promela.places import Places


@dataclass(frozen=True)
class Way:
    """One way in which a step may come out: how its choose() does, and where it leads."""

    outcome: int
    ends: frozenset[int]
    """Instructions that it ends at: an event, or those that end the actor; for one of the ways, those that fail too."""
    target: int
    """The place that it leads to; HALT, or FAIL."""


def ways(code: Code, first: int) -> list[Way]:
    """Every way in which the step that starts at `first` may come out."""
    ends: dict[int, set[int]] = {}
    outcomes = 1
    for i in region_of(code, first):
        instr = code.instrs[i]
        if instr.op in ENDS:
            ends.setdefault({Op.EVENT: i, Op.HALT: HALT, Op.FAIL: FAIL}[instr.op], set()).add(i)
        elif instr.op == Op.CHOOSE:
            assert isinstance(instr.args[1], int)
            outcomes = max(outcomes, instr.args[1])
    failures = ends.pop(FAIL, set()) if len(ends) > 1 else set()
    if failures:
        ends[min(ends)] |= failures  # no way of their own: its guard would be the longest
    return [Way(outcome, frozenset(at), target) for outcome in range(outcomes) for target, at in ends.items()]


class Statements(Step):
    """A way of a step as a guard and statements.

    An expression stands for a register wherever it still holds. `places` is None for what is asked at the end, which
    changes nothing and leads nowhere.
    """

    def __init__(self, model: Promela, code: Code, kept: dict[int, Expr], places: Places | None, place: int, way: Way):
        super().__init__(model, code)
        self.model = model
        self.kept = kept
        self.places = places
        self.place = place
        self.way = way
        self.outcome = number(way.outcome)
        self.first = place + 1 if places is not None else 0
        self.region = self._leading_to(way.ends)
        self.open = self._leading_to(self._doubts())
        """Instructions from which it may still come otherwise, or have to wait."""
        self.joins = self.joins_of(self.region)
        self.scratch_of: dict[int, str] = {}
        self.used = 0
        self.lines: list[str] = []
        self.env: dict[int, Expr] = {}

    def _leading_to(self, ends: frozenset[int]) -> set[int]:
        """The instructions of the step from which it may come to `ends`."""
        follow = successors(self.code)
        region = region_of(self.code, self.first)
        found = set(ends)
        while True:
            more = {
                i for i in region
                if i not in found and self.code.instrs[i].op not in ENDS and any(j in found for j in follow[i])
            }  # fmt: skip
            if not more:
                return found
            found |= more

    def _doubts(self) -> frozenset[int]:
        found = {i for i in region_of(self.code, self.first) if self.code.instrs[i].op in (*ENDS, Op.BLOCK)}
        return frozenset(found - self.way.ends)

    # The condition under which the step can be taken, and comes out this way

    def guard(self) -> Expr:
        """The condition, as an expression of the state."""
        condition = self._condition(self.first, dict(self.kept), {}, self.way.outcome == 0)
        other = self.model.interrupter(self.places.actor) if self.places is not None else None
        return both(number(1) if other is None else negate(named(self.model.flags[other])), condition)

    def _condition(self, i: int, env: dict[int, Expr], stored: dict[Variable, Expr], chosen: bool) -> Expr:
        if i not in self.region:
            return ZERO
        waited = number(1)
        while i not in self.way.ends and not (chosen and i not in self.open):
            instr = self.code.instrs[i]
            i += 1
            if instr.op in (Op.JZ, Op.JNZ):
                condition = self.read(env, instr.args[0])
                target = self.code.labels[instr.args[1]]  # type: ignore[index]
                yes, no = (i, target) if instr.op == Op.JZ else (target, i)
                if condition.value is not None:
                    i = yes if condition.value else no
                    if i not in self.region:
                        return ZERO
                    continue
                yes_holds = both(condition, self._condition(yes, dict(env), dict(stored), chosen))
                no_holds = both(negate(condition), self._condition(no, dict(env), dict(stored), chosen))
                return both(waited, either(condition, yes_holds, no_holds))
            if instr.op == Op.JUMP:
                i = self.code.labels[instr.args[0]]  # type: ignore[index]
            elif instr.op in (Op.STORE, Op.STOREX):
                self.store(env, instr, stored)
            elif instr.op == Op.BLOCK:
                waited = both(waited, self.read(env, instr.args[0]))
            elif instr.op in WRITES_D:
                chosen = chosen or instr.op == Op.CHOOSE
                env[instr.args[0].number] = self.value(env, instr, stored, self.outcome)  # type: ignore[attr-defined]
        return waited if chosen else ZERO

    # What the step does

    def _say(self, text: str) -> None:
        self.lines.append(f"\t\t\t{text};")

    def _scratch(self) -> str:
        self.used += 1
        return f"t{self.used - 1}"

    def _keep(self, register: int) -> None:
        """Put a register's value into a scratch variable, as its expression will not hold any longer."""
        value = self.env[register]
        if value.value is None:
            name = self._scratch()
            self._say(f"{name} = {text(value)}")
            self.env[register] = named(name)

    def statements(self) -> list[str]:
        """What the step does, given that its guard holds."""
        todo = [(self._after_wait(), dict(self.kept))]
        placed: set[int] = set()
        while todo:
            i, self.env = todo.pop()
            if i in placed:
                continue
            while i in self.region:  # constants may lead out of it, where the guard does not hold
                if i in self.joins:
                    self._enter_join(i)
                    if i in placed:
                        self._say(f"goto J{self._tag(i)}")
                        break
                    placed.add(i)
                    self.lines.append(f"J{self._tag(i)}:\t\t\tskip;")
                instr = self.code.instrs[i]
                if instr.op in ENDS:
                    if instr.op == Op.FAIL:
                        assert isinstance(instr.args[0], Failure)
                        self._say(f"assert(false) /* {instr.args[0].kind} */")
                    else:
                        self._leave()
                    if todo:
                        self._say("goto Z" + self._tag(self.first))
                    break
                if instr.op == Op.JUMP:
                    i = self.code.labels[instr.args[0]]  # type: ignore[index]
                elif instr.op in (Op.JZ, Op.JNZ):
                    i = self._branch(i, instr, todo)
                else:
                    self._execute(i, instr)
                    i += 1
        end = f"Z{self._tag(self.first)}:"
        if any(f"goto {end[:-1]}" in line for line in self.lines):
            self.lines.append(f"{end}\t\t\tskip;")
        self.lines += [f"\t\t\tt{n} = 0;" for n in range(self.used)]
        self.model.scratch = max(self.model.scratch, self.used)
        return self.lines

    def _after_wait(self) -> int:
        """Where to begin: behind a BLOCK, as the guard has seen to it, if nothing before it matters behind it."""
        blocks = [i for i in self.region if self.code.instrs[i].op == Op.BLOCK]
        if len(blocks) != 1:
            return self.first
        after = blocks[0] + 1
        before = {i for i in self.region if self.first <= i < after}
        follow = successors(self.code)
        if any(j not in before and j in self.region and j != after for i in before for j in follow[i]):
            return self.first
        if any(self.code.instrs[i].op in (Op.STORE, Op.STOREX) for i in before):
            return self.first
        if any(j in before for i in self.region - before if self.code.instrs[i].op not in ENDS for j in follow[i]):
            return self.first
        needed = {r for r in bits_of(self.live[after]) if r not in self.constants}
        return after if needed <= self.kept.keys() and not needed & self._defined(before) else self.first

    def _defined(self, instructions: set[int]) -> set[int]:
        found = set()
        for i in instructions:
            target = self.code.instrs[i].args[0] if self.code.instrs[i].op in WRITES_D else None
            if isinstance(target, Reg):
                found.add(target.number)
        return found

    def _tag(self, i: int) -> str:
        return f"{self.place}_{self.way.outcome}_{self.way.target + 2}_{i}"

    def _branch(self, i: int, instr: Instr, todo: list[tuple[int, dict[int, Expr]]]) -> int:
        condition = self.read(self.env, instr.args[0])
        target = self.code.labels[instr.args[1]]  # type: ignore[index]
        if condition.value is not None:
            return target if (condition.value == 0) == (instr.op == Op.JZ) else i + 1
        if target not in self.region:
            return i + 1
        if i + 1 not in self.region:
            return target
        self.joins.add(target)
        saved = dict(self.env)
        at = len(self.lines)
        self._enter_join(target)
        moves = "".join(f"{line.strip()} " for line in self.lines[at:])
        del self.lines[at:]
        jump = negate(condition) if instr.op == Op.JZ else condition
        self._say(f"if :: {text(jump)} -> {moves}goto J{self._tag(target)} :: else fi")
        todo.append((target, dict(self.env)))
        self.env = saved
        return i + 1

    def _enter_join(self, i: int) -> None:
        """Every way to a join brings the registers that are needed there in the same scratch variables."""
        moves = []
        for register in bits_of(self.live[i]):
            if register in self.constants or register not in self.env:
                continue
            name = self.scratch_of.get(register)
            if name is None:
                name = self.scratch_of[register] = self._scratch()
            if self.env[register] != named(name):
                moves.append((name, self.env[register]))
        self._assign(moves)
        self.env = {r: named(n) for r, n in self.scratch_of.items() if self.live[i] >> r & 1}

    def _assign(self, moves: list[tuple[str, Expr]]) -> None:
        """Assign at once: first what another assignment would spoil."""
        while moves:
            free = next((m for m in moves if not any(m[0] in o[1].reads for o in moves if o is not m)), None)
            if free is None:
                name = self._scratch()
                self._say(f"{name} = {text(moves[0][1])}")
                moves[0] = (moves[0][0], named(name))
                continue
            moves.remove(free)
            self._say(f"{free[0]} = {text(free[1])}")

    def _execute(self, i: int, instr: Instr) -> None:
        if instr.op == Op.STORE:
            self._store(i, [(instr.args[0], self.read(self.env, instr.args[1]))])  # type: ignore[list-item]
        elif instr.op == Op.STOREX:
            index, value = (self.read(self.env, a) for a in instr.args[1:])
            variables = self.columns(instr.args[0])  # type: ignore[arg-type]
            if index.value is not None:
                self._store(i, [(variables[index.value - 1], value)])
                return
            self._spill(i, {self.model.variables[v] for v in variables})
            index, value = (self.read(self.env, a) for a in instr.args[1:])
            options = " ".join(
                f":: {text(apply(Op.EQ, index, number(n)))} -> {self._set(v, value)}"
                for n, v in enumerate(variables, 1)
            )
            self._say(f"if {options} fi")
        elif instr.op in WRITES_D:
            target = instr.args[0]
            assert isinstance(target, Reg)
            if self.live[i + 1] >> target.number & 1:
                self.env[target.number] = self.value(self.env, instr, {}, self.outcome)
                if len(text(self.env[target.number])) > MAX_TEXT:
                    self._keep(target.number)

    def _store(self, i: int, stores: list[tuple[Variable, Expr]]) -> None:
        for variable, _ in stores:
            self._spill(i, {self.model.variables[variable]})
        for variable, value in stores:
            self._say(self._set(variable, value))

    def _set(self, variable: Variable, value: Expr) -> str:
        slot = self.model.program.slots[variable]
        return f"{self.model.variables[variable]} = {text(apply(Op.SUB, value, number(slot.low)))}"

    def _spill(self, i: int, names: set[str]) -> None:
        """Before `names` change: keep the registers that are needed later, and whose expressions read them."""
        for register, value in list(self.env.items()):
            if value.reads & names and self.live[i + 1] >> register & 1:
                self._keep(register)

    def _leave(self) -> None:
        """The step is over: what lives on goes to its local, and all else that could hold a value is zero."""
        if self.places is None:
            return
        target = self.way.target
        moves = []
        for register in self.places.needed(target):
            name = f"l{self.places.home[register]}"
            raw = apply(Op.SUB, self.env.get(register, ZERO), number(self.places.room(register)[1]))
            if raw != named(name):
                moves.append((name, raw))
        moves += [(f"l{home}", ZERO) for home in self.places.left(self.place, target)]
        self._assign(moves)
        if target == HALT:
            self._say("ended = ended + 1")
        flag = self.model.flags.get(self.places.actor)
        if flag is not None and self.places.busy(target) != self.places.busy(self.place):
            self._say(f"{flag} = {self.places.busy(target)}")
