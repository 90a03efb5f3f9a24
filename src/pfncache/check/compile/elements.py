# SPDX-License-Identifier: GPL-2.0-only
"""Compiles elements of tuples, with the check of the bounds; a tuple may be embedded in one of several records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from pfncache.check.compile.emitter import Emitter
from pfncache.check.compile.values import ANY_INT, BOOL, NONE, Const, IntKind, Kind, Parts, Reg, Tuple, Value, join
from pfncache.check.ops import Op
from pfncache.lang.records import Record


class Elements(Emitter):
    """The layer above the emitter: elements of tuples."""

    def element(self, base: Value, index: Value) -> Value:
        """Compile ``base[index]``, with a check of the bounds."""
        if self.dead:
            return NONE
        if isinstance(base, Tuple) and isinstance(index, Const):
            item: Value = base.items[index.value]
            return item
        if isinstance(base, Const) and isinstance(base.value, tuple | list):
            items = tuple(base.value)
            if isinstance(index, Const):
                if not 0 <= index.value < len(items):
                    self.fail("out-of-bounds")
                    return NONE
                return Const(items[index.value])
            position = self._bounded(self.scalar(index), self.constant(len(items)))
            return self._pick(position, items)
        if isinstance(base, Parts):
            return self._element_of_parts(base, index)
        raise self.error("only a tuple of records can be indexed")

    def _element_of_parts(self, base: Parts, index: Value) -> Value:
        most = base.most_width
        if isinstance(index, Const):
            if not 0 <= index.value < most:
                self.fail("out-of-bounds")
                return NONE
            if index.value >= base.least_width:
                inside = self.compute(Op.LT, BOOL, self.constant(index.value), self.scalar(self.width(base)))
                self.check(inside, "out-of-bounds")
            return self.item(base, index.value)
        position = self._bounded(self.scalar(index), self.scalar(self.width(base)))
        if not most:
            return NONE
        before = self.compute(Op.SUB, ANY_INT, base.owner, self.constant(1))
        row = self.compute(Op.MUL, ANY_INT, before, self.constant(most))
        padded = tuple(item for r in base.rows for item in (*r, *(None,) * (most - len(r))))
        return self._pick(self.compute(Op.ADD, ANY_INT, row, position), padded)

    def width(self, base: Parts) -> Value:
        """Compile ``len(base)``; a constant if it is the same for every owner."""
        widths = [Const(len(row)) for row in base.rows]
        return self.lookup(base.owner, widths, IntKind(base.least_width, base.most_width))

    def item(self, base: Parts, index: int) -> Value:
        """Compile ``base[index]`` without a check, for an index that some owner's tuple has."""
        having = [row[index] for row in base.rows if index < len(row)]
        records = [Const(row[index] if index < len(row) else having[0]) for row in base.rows]
        return self.lookup(base.owner, records, self._kind_of_items(having))

    def _bounded(self, index: Reg, length: Reg) -> Reg:
        self.check(self.compute(Op.LE, BOOL, self.constant(0), index), "out-of-bounds")
        self.check(self.compute(Op.LT, BOOL, index, length), "out-of-bounds")
        return index

    def _pick(self, position: Reg, items: tuple[Any, ...]) -> Value:
        if not items:
            return NONE
        number = self.compute(Op.ADD, ANY_INT, position, self.constant(1))
        return self.lookup(number, [Const(i) for i in items], self._kind_of_items(items))

    def _kind_of_items(self, items: Sequence[Record | None]) -> Kind:
        """Return the kind that holds every item; None stands for no item."""
        return reduce(join, (kind for item in items if (kind := self.kind_of(Const(item))) is not None))
