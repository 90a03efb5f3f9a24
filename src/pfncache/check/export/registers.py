# SPDX-License-Identifier: GPL-2.0-only
"""The places of an actor, and the registers that are live there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from pfncache.check.export.expression import Expr
from pfncache.check.export.model import Model
from pfncache.check.export.step import HALT
from pfncache.check.program.layout import room
from pfncache.check.program.liveness import live_registers


class Registers:
    """Allocation of variables of the exported process to registers that are live between steps."""

    def __init__(self, model: Model, actor: int) -> None:
        self.actor = actor
        self.code = model.compiled.codes[actor]
        self.live = live_registers(self.code)
        self.pools = model.compiled.heap.pools
        self.start = self._start(model)
        """The first place."""
        self.home: dict[int, int] = {}
        """By register: the number of its variable."""
        self.bits: list[int] = []
        self._place_registers()
        self.initial = [0] * len(self.bits)
        """Initial values of the variables, each without the lowest one of its register."""
        saved = model.program.saved(model.search.initial, actor)
        for register, value in zip(self.live.get(self.start, []), saved, strict=True):
            self.initial[self.home[register]] = value

    def _start(self, model: Model) -> int:
        event = model.program.events[self.actor][model.program.counter(model.search.initial, self.actor)]
        if event is None:
            return HALT
        return next(i for i in self.live if self.code.instrs[i].event is event)

    def room(self, register: int) -> tuple[int, int]:
        """Return the number of bits that a register needs, and its lowest value."""
        return room(self.code.kinds[register], self.pools)

    def _place_registers(self) -> None:
        """Allocate a variable to each register; registers that are never live at the same time share one."""
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

    def value(self, register: int) -> Expr:
        """Return the value of a register at the beginning of the step, as an expression."""
        raise NotImplementedError

    def kept(self, place: int) -> dict[int, Expr]:
        """Return the values of the live registers at a place."""
        return {r: self.value(r) for r in self.live[place]}

    def left(self, place: int, target: int) -> list[int]:
        """Return the variables that a step from one place to another sets to zero, as no live register is in them."""
        needed = self.needed(target)
        return sorted({self.home[r] for r in self.live[place]} - {self.home[r] for r in needed})

    def needed(self, target: int) -> list[int]:
        """Return the live registers at a place."""
        return self.live[target] if target != HALT else []

    def busy(self, place: int) -> bool:
        """Return whether an interrupt that stands at `place` keeps its CPU: it has begun and not ended."""
        return place not in (HALT, self.start)

    def source(self, place: int) -> str:
        """Return the function and the source line at a place."""
        event = self.code.instrs[place].event
        return f"{event.stack[-1].function}(): {event.stack[-1].text}"

    def written(self, write: Callable[[int], tuple[list[str], list[int]]]) -> list[str]:
        """Return the text of every reachable place. `write` returns the text of one, and its successors."""
        lines: list[str] = []
        todo, seen = [self.start], {self.start, HALT}
        while todo:
            place = todo.pop()
            if place == HALT:
                continue
            text, targets = write(place)
            lines += text
            todo += [t for t in reversed(targets) if t not in seen]
            seen.update(targets)
        return lines
