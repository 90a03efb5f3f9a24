# SPDX-License-Identifier: GPL-2.0-only
"""The places of a process, and its locals."""

from __future__ import annotations

from collections.abc import Mapping

from pfncache.check.export.expression import Expr, apply, named, number
from pfncache.check.export.model import Model
from pfncache.check.export.promela.step import PromelaStatements, ways
from pfncache.check.export.promela.text import declare, indivisible, text
from pfncache.check.export.registers import Registers
from pfncache.check.export.step import FAIL, HALT
from pfncache.check.ops import Op


class Places(Registers):
    """The places of one actor."""

    def __init__(self, model: Model, flags: Mapping[int, str], actor: int) -> None:
        super().__init__(model, actor)
        self.model = model
        self.flags = flags
        self.scratch = 0
        """Number of scratch variables: the maximum over the steps that text() has written."""

    def value(self, register: int) -> Expr:
        """Return the expression of a register, whose local holds its value without the lowest one."""
        return apply(Op.ADD, named(f"l{self.home[register]}"), number(self.room(register)[1]))

    def declarations(self) -> list[str]:
        """Return the declarations of the locals."""
        return [
            declare(f"l{n}", bits, value) for n, (bits, value) in enumerate(zip(self.bits, self.initial, strict=True))
        ]

    def text(self) -> list[str]:
        """Return the text of every place, and of the end."""
        return [*self.written(self._place), "end_: false"]

    def _place(self, place: int) -> tuple[list[str], list[int]]:
        lines = [f"L{place}:\tif /* {self.source(place).replace('*/', '* /')} */"]
        targets: dict[int, None] = {}
        for way in ways(self.code, place + 1):
            step = PromelaStatements(self.model, self.flags, self.code, self, place, way)
            guard = step.guard()
            if guard.value == 0:
                continue
            body = step.statements()
            lines += [f"\t:: {indivisible(body)} {{ {'true' if guard.value else text(guard)} ->", *body, "\t\t}"]
            self.scratch = max(self.scratch, step.used)
            if way.target == FAIL:
                continue
            lines[-1] += f"; goto {_label(way.target)}"
            targets[way.target] = None
        return [*lines, "\tfi;"], list(targets)


def _label(place: int) -> str:
    return "end_" if place == HALT else f"L{place}"
