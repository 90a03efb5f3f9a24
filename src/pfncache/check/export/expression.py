# SPDX-License-Identifier: GPL-2.0-only
"""What registers come to within a step, as expressions of the state; each language has its own text for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pfncache.check.ops import EVALUATE, Op


class Logic(Enum):
    """What the engine does by jumps."""

    BOTH = 0
    EITHER = 1
    SELECT = 2  # condition, value if it holds, value if not


@dataclass(frozen=True)
class Expr:
    """A known number, a variable, or an operation."""

    op: Op | Logic | None = None
    operands: tuple[Expr, ...] = ()
    name: str = ""
    value: int | None = None
    reads: frozenset[str] = field(default=frozenset(), compare=False)
    """The variables in it."""


def number(value: int) -> Expr:
    """A number that is known."""
    return Expr(value=value)


def named(name: str) -> Expr:
    """What a variable holds."""
    return Expr(name=name, reads=frozenset({name}))


ZERO = number(0)


def operation(op: Op | Logic, *operands: Expr) -> Expr:
    return Expr(op, operands, reads=frozenset().union(*(o.reads for o in operands)))


def apply(op: Op, *operands: Expr) -> Expr:
    """The result of an operation of the engine. Known numbers are only added, never subtracted."""
    values = [o.value for o in operands]
    if None not in values:
        return number(EVALUATE[op](*values))
    if op == Op.MOVE:
        return operands[0]
    if op in (Op.ADD, Op.SUB) and values[1] is not None:
        return _moved(operands[0], values[1] if op == Op.ADD else -values[1])
    if op in (Op.DIV, Op.MOD) and not (values[1] is not None and values[1] > 0):
        raise NotImplementedError("a division by what is not known to be positive cannot be exported")
    return operation(op, *operands)


def _moved(operand: Expr, distance: int) -> Expr:
    known = operand.operands[1].value if operand.op == Op.ADD else None
    if known is not None:
        operand, distance = operand.operands[0], known + distance
    return operation(Op.ADD, operand, number(distance)) if distance else operand


def select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """One of two expressions."""
    if condition.value is not None:
        return yes if condition.value else no
    return yes if yes == no else operation(Logic.SELECT, condition, yes, no)


def negate(condition: Expr) -> Expr:
    """Whether `condition` is zero."""
    return apply(Op.NOT, condition)


def both(first: Expr, second: Expr) -> Expr:
    """Whether both hold."""
    if first.value == 0 or second.value == 0:
        return ZERO
    if first.value is not None:
        return second
    return first if second.value is not None else operation(Logic.BOTH, first, second)


def either(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """Whether `yes` holds or `no` does, of which the one implies `condition` and the other its contrary."""
    if no.value == 0:
        return yes
    if yes.value == 0:
        return no
    if yes == condition and no == negate(condition):
        return number(1)
    return operation(Logic.EITHER, yes, no)
