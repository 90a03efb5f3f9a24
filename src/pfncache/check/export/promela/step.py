# SPDX-License-Identifier: GPL-2.0-only
"""One step as a guard and statements of Promela."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pfncache.check.code import Code
from pfncache.check.export.expression import ZERO, Expr, apply, both, either, named, negate, number
from pfncache.check.export.model import Model
from pfncache.check.export.promela.text import text
from pfncache.check.export.registers import Registers
from pfncache.check.export.step import ENDS, FAIL, HALT, MAX_TEXT, SymbolicStep, region_of
from pfncache.check.ir import Instr, Variable
from pfncache.check.ops import BRANCHES, STORES, Op
from pfncache.check.program.dataflow import successors


@dataclass(frozen=True)
class Way:
    """One result of a step: the outcome of its choice, and the place that it leads to."""

    outcome: int
    ends: frozenset[int]
    """Instructions that end it: an event, or those that end the actor; in one of the ways, failures too."""
    target: int
    """The place that it leads to; HALT, or FAIL."""


def ways(code: Code, first: int) -> list[Way]:
    """Return every way of the step that begins at `first`."""
    ends: dict[int, set[int]] = {}
    outcomes = 1
    for i in region_of(code, first):
        instr = code.instrs[i]
        if instr.op in ENDS:
            ends.setdefault({Op.EVENT: i, Op.HALT: HALT, Op.FAIL: FAIL}[instr.op], set()).add(i)
        elif instr.op == Op.CHOOSE:
            outcomes = max(outcomes, instr.outcomes)
    failures = ends.pop(FAIL, set()) if len(ends) > 1 else set()
    if failures:
        ends[min(ends)] |= failures  # not a way of their own, whose guard would be the longest
    return [Way(outcome, frozenset(at), target) for outcome in range(outcomes) for target, at in ends.items()]


class PromelaStatements(SymbolicStep):
    """A way of a step as a guard and statements.

    An expression stands for a register wherever it still holds. `registers` is None for the check at the end, which
    changes nothing and leads nowhere. `flags` has, for each actor that interrupts another, the flag that is set while
    it keeps the CPU.
    """

    def __init__(
        self, model: Model, flags: Mapping[int, str], code: Code, registers: Registers | None, place: int, way: Way
    ) -> None:
        super().__init__(model, code)
        self.model = model
        self.flags = flags
        self.kept = registers.kept(place) if registers is not None else {}
        self.registers = registers
        self.place = place
        self.way = way
        self.outcome = number(way.outcome)
        self.first = place + 1 if registers is not None else 0
        self.region = self._leading_to(way.ends)
        self.open = self._leading_to(self._other_ends())
        """Instructions from which the step may still come out in another way, or block."""
        self.joins = self.joins_of(self.region)
        self.scratch_of: dict[int, str] = {}
        """By register: the scratch variable that has it at a join; registers share one if no join has both."""
        self.used = 0
        """Scratch variables that the statements need."""
        self.lines: list[str] = []
        self.env: dict[int, Expr] = {}

    def _leading_to(self, ends: frozenset[int]) -> set[int]:
        """Return the instructions of the step from which `ends` are reachable."""
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

    def _other_ends(self) -> frozenset[int]:
        found = {i for i in region_of(self.code, self.first) if self.code.instrs[i].op in (*ENDS, Op.BLOCK)}
        return frozenset(found - self.way.ends)

    # The condition under which the step is enabled and takes this way

    def guard(self) -> Expr:
        """Return the guard as an expression of the state."""
        condition = self._condition(self.first, dict(self.kept), {}, self.way.outcome == 0)
        other = self.model.interrupter(self.registers.actor) if self.registers is not None else None
        return both(number(1) if other is None else negate(named(self.flags[other])), condition)

    def _condition(self, i: int, env: dict[int, Expr], stored: dict[Variable, Expr], chosen: bool) -> Expr:
        if i not in self.region:
            return ZERO
        waited = number(1)
        while i not in self.way.ends and not (chosen and i not in self.open):
            instr = self.code.instrs[i]
            i += 1
            if instr.op in BRANCHES:
                condition = self.read(env, instr.condition)
                target = self.code.labels[instr.label]
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
                i = self.code.labels[instr.label]
            elif instr.op in STORES:
                self.store(env, instr, stored)
            elif instr.op == Op.BLOCK:
                waited = both(waited, self.read(env, instr.condition))
            elif instr.dest is not None:
                chosen = chosen or instr.op == Op.CHOOSE
                env[instr.dest.number] = self.value(env, instr, stored, self.outcome)
        return waited if chosen else ZERO

    @cached_property
    def _live_at_joins(self) -> list[frozenset[int]]:
        """What is live at each instruction of the step that may become a join: the target of a jump."""
        jumps = (self.code.instrs[i] for i in self.region if self.code.instrs[i].op in {*BRANCHES, Op.JUMP})
        targets = {self.code.labels[jump.label] for jump in jumps}
        return [frozenset(self.live[i]) for i in targets | self.joins]

    # The statements

    def _say(self, text: str) -> None:
        self.lines.append(f"\t\t\t{text};")

    def _scratch(self) -> str:
        self.used += 1
        return f"t{self.used - 1}"

    def _keep(self, register: int) -> None:
        """Move a register's value to a scratch variable, before a variable in its expression changes."""
        value = self.env[register]
        if value.value is None:
            name = self._scratch()
            self._say(f"{name} = {text(value)}")
            self.env[register] = named(name)

    def statements(self) -> list[str]:
        """Return the statements, given that the guard holds; sets `used`."""
        todo = [(self._after_wait(), dict(self.kept))]
        placed: set[int] = set()
        while todo:
            i, self.env = todo.pop()
            if i in placed:
                continue
            while i in self.region:  # constants may lead out of it, to where the guard does not hold
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
                        self._say(f"assert(false) /* {instr.failure.kind} */")
                    else:
                        self._leave()
                    if todo:
                        self._say("goto Z" + self._tag(self.first))
                    break
                if instr.op == Op.JUMP:
                    i = self.code.labels[instr.label]
                elif instr.op in BRANCHES:
                    i = self._branch(i, instr, todo)
                else:
                    self._execute(i, instr)
                    i += 1
        end = f"Z{self._tag(self.first)}:"
        if any(f"goto {end[:-1]}" in line for line in self.lines):
            self.lines.append(f"{end}\t\t\tskip;")
        self.lines += [f"\t\t\tt{n} = 0;" for n in range(self.used)]
        return self.lines

    def _after_wait(self) -> int:
        """Return where to begin: behind BLOCK, which the guard stands for, if nothing before it is needed behind it."""
        blocks = [i for i in self.region if self.code.instrs[i].op == Op.BLOCK]
        if len(blocks) != 1:
            return self.first
        after = blocks[0] + 1
        before = {i for i in self.region if self.first <= i < after}
        follow = successors(self.code)
        if any(j not in before and j in self.region and j != after for i in before for j in follow[i]):
            return self.first
        if any(self.code.instrs[i].op in STORES for i in before):
            return self.first
        if any(j in before for i in self.region - before if self.code.instrs[i].op not in ENDS for j in follow[i]):
            return self.first
        needed = {r for r in self.live[after] if r not in self.constants}
        return after if needed <= self.kept.keys() and not needed & self._defined(before) else self.first

    def _defined(self, instructions: set[int]) -> set[int]:
        written = (self.code.instrs[i].dest for i in instructions)
        return {register.number for register in written if register is not None}

    def _tag(self, i: int) -> str:
        return f"{self.place}_{self.way.outcome}_{self.way.target + 2}_{i}"

    def _branch(self, i: int, instr: Instr, todo: list[tuple[int, dict[int, Expr]]]) -> int:
        condition = self.read(self.env, instr.condition)
        target = self.code.labels[instr.label]
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
        """Assign the registers that are live at a join to the same scratch variables on every path to it."""
        arrived = {register: named(self._home(register)) for register in self.live[i]}
        moves = [(home, self.env.get(register, ZERO)) for register, home in arrived.items()]
        self._assign([(home.name, value) for home, value in moves if value != home])
        self.env = arrived

    def _home(self, register: int) -> str:
        """Return the scratch variable of a register."""
        if register not in self.scratch_of:
            beside = {r for live in self._live_at_joins if register in live for r in live}
            taken = {self.scratch_of[r] for r in beside if r in self.scratch_of}
            free = (name for name in self.scratch_of.values() if name not in taken)
            self.scratch_of[register] = next(free, None) or self._scratch()
        return self.scratch_of[register]

    def _assign(self, moves: list[tuple[str, Expr]]) -> None:
        """Write a parallel assignment in sequence: a variable is assigned once no other assignment reads it."""
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
            self._store(i, [(instr.variable, self.read(self.env, instr.value))])
        elif instr.op == Op.STOREX:
            index, value = self.read(self.env, instr.index), self.read(self.env, instr.value)
            variables = self.columns(instr.column)
            if index.value is not None:
                self._store(i, [(variables[index.value - 1], value)])
                return
            self._spill(i, {self.model.variables[v] for v in variables})
            index, value = self.read(self.env, instr.index), self.read(self.env, instr.value)
            options = " ".join(
                f":: {text(apply(Op.EQ, index, number(n)))} -> {self._set(v, value)}"
                for n, v in enumerate(variables, 1)
            )
            self._say(f"if {options} fi")
        elif instr.dest is not None and instr.dest.number in self.live[i + 1]:
            target = instr.dest.number
            self.env[target] = self.value(self.env, instr, {}, self.outcome)
            if len(text(self.env[target])) > MAX_TEXT:
                self._keep(target)

    def _store(self, i: int, stores: list[tuple[Variable, Expr]]) -> None:
        for variable, _ in stores:
            self._spill(i, {self.model.variables[variable]})
        for variable, value in stores:
            self._say(self._set(variable, value))

    def _set(self, variable: Variable, value: Expr) -> str:
        slot = self.model.program.slots[variable]
        return f"{self.model.variables[variable]} = {text(apply(Op.SUB, value, number(slot.low)))}"

    def _spill(self, i: int, names: set[str]) -> None:
        """Before `names` change: keep the live registers whose expressions read them."""
        for register, value in list(self.env.items()):
            if value.reads & names and register in self.live[i + 1]:
                self._keep(register)

    def _leave(self) -> None:
        """End the step: assign the live registers to their locals, and 0 to the other locals."""
        own = self.registers
        if own is None:
            return
        target = self.way.target
        moves = []
        for register in own.needed(target):
            name = f"l{own.home[register]}"
            raw = apply(Op.SUB, self.env.get(register, ZERO), number(own.room(register)[1]))
            if raw != named(name):
                moves.append((name, raw))
        moves += [(f"l{home}", ZERO) for home in own.left(self.place, target)]
        self._assign(moves)
        if target == HALT:
            self._say("ended = ended + 1")
        flag = self.flags.get(own.actor)
        if flag is not None and own.busy(target) != own.busy(self.place):
            self._say(f"{flag} = {int(own.busy(target))}")
