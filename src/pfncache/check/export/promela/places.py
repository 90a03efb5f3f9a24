# SPDX-License-Identifier: GPL-2.0-only
"""The places of a process, and what it remembers between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfncache.check.export.expression import Expr, apply, named, number
from pfncache.check.export.promela.step import Statements, ways
from pfncache.check.export.promela.text import declare, text
from pfncache.check.export.registers import Registers
from pfncache.check.export.step import FAIL, HALT
from pfncache.check.ir import Op

if TYPE_CHECKING:
    from pfncache.check.export.promela.model import Promela


class Places(Registers):
    """The places of one actor."""

    def __init__(self, model: Promela, actor: int) -> None:
        super().__init__(model, actor)
        self.model = model

    def value(self, register: int) -> Expr:
        """A local holds the value of its register without the lowest one."""
        return apply(Op.ADD, named(f"l{self.home[register]}"), number(self.room(register)[1]))

    def declarations(self) -> list[str]:
        """The locals."""
        return [
            declare(f"l{n}", bits, value) for n, (bits, value) in enumerate(zip(self.bits, self.initial, strict=True))
        ]

    def busy(self, place: int) -> int:
        """Whether an interrupt that stands at `place` keeps its CPU."""
        return int(place not in (HALT, self.start))

    def text(self) -> list[str]:
        """Every place, and the end."""
        return [*self.written(self._place), "end_: false"]

    def _place(self, place: int) -> tuple[list[str], list[int]]:
        lines = [f"L{place}:\tif /* {self.source(place).replace('*/', '* /')} */"]
        targets: dict[int, None] = {}
        for way in ways(self.code, place + 1):
            step = Statements(self.model, self.code, self.kept(place), self, place, way)
            guard = step.guard()
            if guard.value == 0:
                continue
            lines += [f"\t:: d_step {{ {'true' if guard.value else text(guard)} ->", *step.statements(), "\t\t}"]
            if way.target == FAIL:
                continue
            lines[-1] += f"; goto {_label(way.target)}"
            targets[way.target] = None
        return [*lines, "\tfi;"], list(targets)


def _label(place: int) -> str:
    return "end_" if place == HALT else f"L{place}"
