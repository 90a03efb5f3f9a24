# SPDX-License-Identifier: GPL-2.0-only
"""The values of constant expressions of C that is not trusted: nothing is executed or grows without bound."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

MAX_BITS = 64
"""Bits of a value, and of a shift."""
BINARY: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.LShift: operator.lshift, ast.RShift: operator.rshift,
}  # fmt: skip
UNARY: dict[type[ast.unaryop], Callable[[int], int]] = {
    ast.Invert: operator.invert, ast.Not: operator.not_, ast.UAdd: operator.pos, ast.USub: operator.neg
}  # fmt: skip
COMPARISON: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Eq: operator.eq, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge
}  # fmt: skip


def value_of(expression: str) -> int | None:
    """Return the value of an expression of numbers in Python's syntax; None for any other, and for one out of range."""
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> int:
    """Return the value of a node. Raises ValueError."""
    match node:
        case ast.Constant(value=int(found)):
            pass
        case ast.UnaryOp() if type(node.op) in UNARY:
            found = UNARY[type(node.op)](_value(node.operand))
        case ast.BinOp() if type(node.op) in BINARY:
            left, right = _value(node.left), _value(node.right)
            if isinstance(node.op, ast.LShift) and right > MAX_BITS:
                raise ValueError("a shift by more than a word")
            found = BINARY[type(node.op)](left, right)
        case ast.BoolOp():
            values = [_value(operand) != 0 for operand in node.values]
            found = all(values) if isinstance(node.op, ast.And) else any(values)
        case ast.Compare(left=first, ops=[compare], comparators=[second]) if type(compare) in COMPARISON:
            found = COMPARISON[type(compare)](_value(first), _value(second))
        case _:
            raise ValueError(f"no constant: {ast.unparse(node)}")
    if abs(found) >> MAX_BITS:
        raise ValueError("a value of more than a word")
    return found
