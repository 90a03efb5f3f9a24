# SPDX-License-Identifier: GPL-2.0-only
"""Expressions and names of Promela."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pfncache.check.export.expression import Expr, Logic
from pfncache.check.ops import OPERATIONS, Op

LOGIC = {Logic.BOTH: "({} && {})", Logic.EITHER: "({} || {})", Logic.SELECT: "({} -> {} : {})"}

RESERVED = re.compile(
    r"""active|assert|atomic|bit|bool|break|byte|chan|d_step|do|else|enabled|end|eval|false|fi|for|full|goto|hidden|if|in
    |init|inline|int|len|mtype|nempty|never|nfull|notrace|np_|od|of|pc_value|pid|printf|priority|proctype|provided|run
    |select|short|show|skip|timeout|true|typedef|unless|unsigned|xr|xs|ended|at_end|[LJZlst]\d+(_.*)?""",
    re.VERBOSE,
)
"""Reserved words: Promela's, and those that the export itself uses."""


LONGEST_D_STEP = 2000
"""Statements and guards of a d_step; SPIN refuses more than 2048 states in one."""


def indivisible(statements: Sequence[str]) -> str:
    """Return the word for a sequence that no process interrupts. SPIN stores no state inside of either, depth first.

    The check at the end is long. Breadth first, SPIN stores the states inside of an atomic sequence.
    """
    length = sum(line.count(";") + 2 * line.count("::") for line in statements)
    return "d_step" if length <= LONGEST_D_STEP else "atomic"


def text(expression: Expr) -> str:
    """Return the text of an expression."""
    if expression.value is not None:
        return str(expression.value) if expression.value >= 0 else f"({expression.value})"
    if expression.op is None:
        return expression.name
    operands = [text(o) for o in expression.operands]
    if isinstance(expression.op, Logic):
        return LOGIC[expression.op].format(*operands)
    if expression.op == Op.ADD:
        distance = expression.operands[1].value
        if distance is not None and distance < 0:
            return OPERATIONS[Op.SUB].promela.format(operands[0], -distance)
    return OPERATIONS[expression.op].promela.format(*operands)


def declare(name: str, bits: int, value: int) -> str:
    """Return the declaration of a variable of `bits` bits and its initial value."""
    kind = f"bit {name}" if bits == 1 else f"unsigned {name} : {bits}"
    return f"{kind} = {value};" if value else f"{kind};"
