# SPDX-License-Identifier: GPL-2.0-only
"""Interval arithmetic: the bounds of results."""

from __future__ import annotations

from pfncache.check.compile.values import ANY_INT, IntKind, Kind
from pfncache.check.ops import EVALUATE, Op

MAX_SHIFT = 15
"""Bits; a left shift that may be longer has no useful bounds."""


def bounds_of(op: Op, a: Kind | None, b: Kind | None) -> Kind:
    """Return the bounds of a binary operation's result, given those of its operands; ANY_INT where they are unknown."""
    if not isinstance(a, IntKind) or not isinstance(b, IntKind):
        return ANY_INT
    if op in (Op.ADD, Op.SUB, Op.MUL):
        corners = [EVALUATE[op](x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return IntKind(min(corners), max(corners))
    if op == Op.SHL and b.low >= 0 and b.high <= MAX_SHIFT:
        corners = [EVALUATE[op](x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return IntKind(min(corners), max(corners))
    if op in (Op.SHR, Op.DIV) and b.low >= 0:
        return IntKind(min(a.low, 0), max(a.high, 0))
    if op == Op.AND and a.low >= 0:
        return IntKind(0, a.high)
    if op == Op.AND and b.low >= 0:
        return IntKind(0, b.high)
    if op == Op.MOD and b.low > 0:
        return IntKind(0, b.high - 1)
    return ANY_INT
