# SPDX-License-Identifier: GPL-2.0-only
"""The places of a process, and what it remembers between them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pfncache.check.analysis import live_registers
from pfncache.check.ir import Event, Op
from pfncache.check.link import room
from pfncache.check.promela.step import FAIL, HALT, Step, ways
from pfncache.check.promela.text import Expr, apply, declare, number

if TYPE_CHECKING:
    from pfncache.check.promela.model import Model


class Places:
    """The places of one actor, and the registers that live on from one to another."""

    def __init__(self, model: Model, actor: int) -> None:
        self.model = model
        self.actor = actor
        self.code = model.compiled.codes[actor]
        self.live = live_registers(self.code)
        self.start = self._start()
        self.home: dict[int, int] = {}
        """Register to the local that keeps it between steps."""
        self.bits: list[int] = []
        self._place_registers()

    def _start(self) -> int:
        program, search = self.model.program, self.model.search
        event = program.events[self.actor][program.counter(search.initial, self.actor)]
        if event is None:
            return HALT
        return next(i for i in self.live if self.code.instrs[i].args[0] is event)

    def room(self, register: int) -> tuple[int, int]:
        """Bits that a register needs, and its lowest value."""
        return room(self.code.kinds[register], self.model.compiled.heap.pools)

    def _place_registers(self) -> None:
        """Registers that are never needed at the same time share a local."""
        beside: dict[int, set[int]] = defaultdict(set)
        for registers in self.live.values():
            for register in registers:
                beside[register].update(registers)
        for register in sorted(beside, key=lambda r: (-self.room(r)[0], r)):
            taken = {self.home[other] for other in beside[register] if other in self.home}
            home = next(n for n in range(len(taken) + 1) if n not in taken)
            self.home[register] = home
            if home == len(self.bits):
                self.bits.append(self.room(register)[0])

    def kept(self, register: int) -> Expr:
        """The value that a register had when the step began."""
        name = f"l{self.home[register]}"
        return apply(Op.ADD, Expr(name, frozenset({name})), number(self.room(register)[1]))

    def declarations(self) -> list[str]:
        """The locals."""
        values = [0] * len(self.bits)
        saved = self.model.program.saved(self.model.search.initial, self.actor)
        for register, value in zip(self.live.get(self.start, []), saved, strict=True):
            values[self.home[register]] = value
        return [declare(f"l{n}", bits, value) for n, (bits, value) in enumerate(zip(self.bits, values, strict=True))]

    def busy(self, place: int) -> int:
        """Whether an interrupt that stands at `place` keeps its CPU."""
        return int(place not in (HALT, self.start))

    def text(self) -> list[str]:
        """Every place that can be reached, the first one first."""
        lines: list[str] = []
        todo, seen = [self.start], {self.start, HALT}
        while todo:
            place = todo.pop()
            if place == HALT:
                continue
            text, targets = self._place(place)
            lines += text
            todo += [t for t in reversed(targets) if t not in seen]
            seen.update(targets)
        return [*lines, "end_: false"]

    def _place(self, place: int) -> tuple[list[str], list[int]]:
        event = self.code.instrs[place].args[0]
        assert isinstance(event, Event)
        at = event.stack[-1]
        lines = [f"L{place}:\tif /* {at.function}(): {at.text.replace('*/', '* /')} */"]
        targets: dict[int, None] = {}
        for way in ways(self.code, place + 1):
            step = Step(self.model, self.code, self._kept(place), self, place, way)
            guard = step.guard()
            if guard.value == 0:
                continue
            lines += [f"\t:: d_step {{ {'true' if guard.value else guard.text} ->", *step.statements(), "\t\t}"]
            if way.target == FAIL:
                continue
            lines[-1] += f"; goto {_label(way.target)}"
            targets[way.target] = None
        return [*lines, "\tfi;"], list(targets)

    def _kept(self, place: int) -> dict[int, Expr]:
        return {r: self.kept(r) for r in self.live[place]}


def _label(place: int) -> str:
    return "end_" if place == HALT else f"L{place}"
