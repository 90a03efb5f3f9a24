# SPDX-License-Identifier: GPL-2.0-only
"""Expressions and names of Promela."""

from __future__ import annotations

import re

from pfncache.check.export.expression import Expr, Logic
from pfncache.check.ir import Op

SYMBOLS: dict[Op | Logic | None, str] = {
    Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/", Op.MOD: "%", Op.AND: "&", Op.OR: "|", Op.XOR: "^",
    Op.SHL: "<<", Op.SHR: ">>", Op.EQ: "==", Op.NE: "!=", Op.LT: "<", Op.LE: "<=", Logic.BOTH: "&&", Logic.EITHER: "||",
}  # fmt: skip

RESERVED = re.compile(
    r"""active|assert|atomic|bit|bool|break|byte|chan|d_step|do|else|enabled|end|eval|false|fi|for|full|goto|hidden|if|in
    |init|inline|int|len|mtype|nempty|never|nfull|notrace|np_|od|of|pc_value|pid|printf|priority|proctype|provided|run
    |select|short|show|skip|timeout|true|typedef|unless|unsigned|xr|xs|ended|at_end|[LJZlt]\d+(_.*)?""",
    re.VERBOSE,
)
"""Words that no variable and no process may be called: Promela's, and what the export itself needs."""


def text(expression: Expr) -> str:
    """An expression."""
    if expression.value is not None:
        return str(expression.value) if expression.value >= 0 else f"({expression.value})"
    if expression.op is None:
        return expression.name
    operands = [text(o) for o in expression.operands]
    if expression.op == Op.NOT:
        return f"!({operands[0]})"
    if expression.op in (Op.NEG, Op.INVERT):
        return f"({'-' if expression.op == Op.NEG else '~'}{operands[0]})"
    if expression.op == Logic.SELECT:
        return f"({operands[0]} -> {operands[1]} : {operands[2]})"
    distance = expression.operands[1].value
    if expression.op == Op.ADD and distance is not None and distance < 0:
        return f"({operands[0]} - {-distance})"
    return f"({operands[0]} {SYMBOLS[expression.op]} {operands[1]})"


def declare(name: str, bits: int, value: int) -> str:
    """A variable of so many bits."""
    kind = f"bit {name}" if bits == 1 else f"unsigned {name} : {bits}"
    return f"{kind} = {value};" if value else f"{kind};"
