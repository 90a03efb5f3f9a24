# SPDX-License-Identifier: GPL-2.0-only
"""Expressions and names of TLA+.

All values are integers: a truth value is 0 or 1, and a BOOLEAN only where TLA+ requires one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pfncache.check.export.expression import Expr, Logic
from pfncache.check.ops import BITWISE, COMPARISONS, OPERATIONS, TRUTHS, Op

PRELUDE = r"""
Bit(holds) == IF holds THEN 1 ELSE 0

\* Of the bits of two integers, which are all 0 or all -1 in the end.
RECURSIVE And(_, _)
And(a, b) == IF a = b THEN a ELSE IF a = 0 \/ b = 0 THEN 0
             ELSE 2 * And(a \div 2, b \div 2) + (a % 2) * (b % 2)
Or(a, b) == a + b - And(a, b)
Xor(a, b) == a + b - 2 * And(a, b)
""".splitlines()

RESERVED = re.compile(
    r"""ASSUME|ASSUMPTION|AXIOM|BOOLEAN|CASE|CHOOSE|CONSTANTS?|DOMAIN|ELSE|ENABLED|EXCEPT|EXTENDS|FALSE|IF|IN|INSTANCE
    |LAMBDA|LET|LOCAL|MODULE|OTHER|RECURSIVE|STRING|SUBSET|THEN|THEOREM|TRUE|UNCHANGED|UNION|VARIABLES?|WITH
    |[SW]F_.*|Int|Nat|Integers|Naturals|Init|Next|Spec|Ended|NothingFails|vars|memory|failed|Bit|And|Or|Xor|a|b|holds|[Jpt]\d+""",
    re.VERBOSE,
)
"""Reserved words: TLA+'s, and those that the export itself uses."""


def text(expression: Expr) -> str:
    """Return the text of an expression as an integer."""
    if expression.value is not None:
        return str(expression.value)
    if expression.op is None:
        return expression.name
    if expression.op in TRUTHS:
        return f"Bit({test(expression)})"
    if expression.op == Logic.SELECT:
        condition, yes, no = expression.operands
        return f"IF {test(condition)} THEN {text(yes)} ELSE {text(no)}"
    assert isinstance(expression.op, Op)
    return OPERATIONS[expression.op].tla.format(*map(_operand, expression.operands))


def test(expression: Expr) -> str:
    """Return the text of the condition that an expression is not 0."""
    if expression.op in COMPARISONS:
        assert isinstance(expression.op, Op)
        return OPERATIONS[expression.op].tla.format(*map(_operand, expression.operands))
    if expression.op == Op.NOT:
        (denied,) = expression.operands
        return f"~({test(denied)})" if denied.op in TRUTHS else OPERATIONS[Op.NOT].tla.format(_operand(denied))
    return f"{_operand(expression)} # 0"


def _operand(expression: Expr) -> str:
    said = text(expression)
    return said if re.fullmatch(r"\w+", said) or expression.op in TRUTHS | BITWISE else f"({said})"


def listing(names: Iterable[str]) -> str:
    """Return the text of a tuple of variables."""
    return f"<<{', '.join(names)}>>"
