# SPDX-License-Identifier: GPL-2.0-only
"""Symbolic expressions of the state. Each language has its own text for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pfncache.check.ops import EVALUATE, Op


class Logic(Enum):
    """Operations that step code expresses by jumps."""

    BOTH = 0
    EITHER = 1
    SELECT = 2  # condition, value if it holds, value if not


@dataclass(frozen=True)
class Expr:
    """A constant, a variable, or an operation."""

    op: Op | Logic | None = None
    operands: tuple[Expr, ...] = ()
    name: str = ""
    value: int | None = None
    reads: frozenset[str] = field(default=frozenset(), compare=False)
    """The variables in it."""


def number(value: int) -> Expr:
    """Return a constant."""
    return Expr(value=value)


def named(name: str) -> Expr:
    """Return the value of a variable."""
    return Expr(name=name, reads=frozenset({name}))


ZERO = number(0)


def operation(op: Op | Logic, *operands: Expr) -> Expr:
    """Return an operation on expressions, without simplification."""
    return Expr(op, operands, reads=frozenset().union(*(o.reads for o in operands)))


def apply(op: Op, *operands: Expr) -> Expr:
    """Return the simplified result of an operation. Constants are only added, never subtracted."""
    values = [o.value for o in operands]
    if None not in values:
        return number(EVALUATE[op](*values))
    if op == Op.MOVE:
        return operands[0]
    if op in (Op.ADD, Op.SUB) and values[1] is not None:
        return _moved(operands[0], values[1] if op == Op.ADD else -values[1])
    if op in (Op.DIV, Op.MOD) and not (values[1] is not None and values[1] > 0):
        raise NotImplementedError("a division cannot be exported unless the divisor is a positive constant")
    return operation(op, *operands)


def _moved(operand: Expr, distance: int) -> Expr:
    known = operand.operands[1].value if operand.op == Op.ADD else None
    if known is not None:
        operand, distance = operand.operands[0], known + distance
    return operation(Op.ADD, operand, number(distance)) if distance else operand


def select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """Return one of two expressions, by a condition."""
    if condition.value is not None:
        return yes if condition.value else no
    return yes if yes == no else operation(Logic.SELECT, condition, yes, no)


def negate(condition: Expr) -> Expr:
    """Return whether `condition` is 0."""
    return apply(Op.NOT, condition)


def both(first: Expr, second: Expr) -> Expr:
    """Return whether both are not 0."""
    if first.value == 0 or second.value == 0:
        return ZERO
    if first.value is not None:
        return second
    return first if second.value is not None else operation(Logic.BOTH, first, second)


def either(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """Return whether `yes` or `no` is not 0, where `yes` implies `condition` and `no` implies its negation."""
    if no.value == 0:
        return yes
    if yes.value == 0:
        return no
    if yes == condition and no == negate(condition):
        return number(1)
    return operation(Logic.EITHER, yes, no)
