# SPDX-License-Identifier: GPL-2.0-only
"""Expressions and names of Promela."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pfncache.check.ir import Op

SYMBOLS = {
    Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/", Op.MOD: "%", Op.AND: "&", Op.OR: "|", Op.XOR: "^",
    Op.SHL: "<<", Op.SHR: ">>", Op.EQ: "==", Op.NE: "!=", Op.LT: "<", Op.LE: "<=",
}  # fmt: skip
EVALUATE: dict[Op, Callable[..., int]] = {
    Op.ADD: lambda a, b: a + b, Op.SUB: lambda a, b: a - b, Op.MUL: lambda a, b: a * b, Op.DIV: lambda a, b: a // b,
    Op.MOD: lambda a, b: a % b, Op.AND: lambda a, b: a & b, Op.OR: lambda a, b: a | b, Op.XOR: lambda a, b: a ^ b,
    Op.SHL: lambda a, b: a << b, Op.SHR: lambda a, b: a >> b, Op.EQ: lambda a, b: int(a == b),
    Op.NE: lambda a, b: int(a != b), Op.LT: lambda a, b: int(a < b), Op.LE: lambda a, b: int(a <= b),
    Op.NOT: lambda a: int(a == 0), Op.NEG: lambda a: -a, Op.INVERT: lambda a: ~a, Op.MOVE: lambda a: a,
}  # fmt: skip
"""What an operation on known numbers comes to."""

KEYWORDS = frozenset(
    """active assert atomic bit bool break byte chan d_step do else enabled end eval false fi for full goto hidden if in
    init inline int len mtype nempty never nfull notrace np_ od of pc_value pid printf priority proctype provided run
    select short show skip timeout true typedef unless unsigned xr xs ended at_end""".split()  # noqa: SIM905
)
"""Words that no variable and no process may be called: Promela's, and what the export itself needs."""


@dataclass(frozen=True)
class Expr:
    """An expression: its text, the variables that it reads, its value when that is known."""

    text: str
    reads: frozenset[str] = frozenset()
    value: int | None = None
    offset: int = 0
    base: Expr | None = None
    """What `offset` is added to, when it is not 0."""


def number(value: int) -> Expr:
    """A number that is known."""
    return Expr(str(value) if value >= 0 else f"({value})", frozenset(), value)


ZERO = number(0)


def apply(op: Op, *operands: Expr) -> Expr:
    """The result of an operation of the engine."""
    values = [o.value for o in operands]
    if None not in values:
        return number(EVALUATE[op](*values))
    if op == Op.MOVE:
        return operands[0]
    if op in (Op.ADD, Op.SUB) and values[1] is not None:
        return _moved(operands[0], values[1] if op == Op.ADD else -values[1])
    reads = frozenset().union(*(o.reads for o in operands))
    if op == Op.NOT:
        return Expr(f"!({operands[0].text})", reads)
    if op in (Op.NEG, Op.INVERT):
        return Expr(f"({'-' if op == Op.NEG else '~'}{operands[0].text})", reads)
    if op in (Op.DIV, Op.MOD) and not (values[1] is not None and values[1] > 0):
        raise NotImplementedError("division by what is not known: Promela rounds towards zero")
    return Expr(f"({operands[0].text} {SYMBOLS[op]} {operands[1].text})", reads)


def _moved(operand: Expr, distance: int) -> Expr:
    base, offset = operand.base or operand, operand.offset + distance
    if offset == 0:
        return base
    return Expr(f"({base.text} {'+' if offset > 0 else '-'} {abs(offset)})", base.reads, None, offset, base)


def select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """One of two expressions."""
    if condition.value is not None:
        return yes if condition.value else no
    if yes == no:
        return yes
    reads = condition.reads | yes.reads | no.reads
    return Expr(f"({condition.text} -> {yes.text} : {no.text})", reads)


def negate(condition: Expr) -> Expr:
    """Whether `condition` is zero."""
    return apply(Op.NOT, condition)


def both(first: Expr, second: Expr) -> Expr:
    """Whether both hold."""
    if first.value == 0 or second.value == 0:
        return ZERO
    if first.value is not None:
        return second
    if second.value is not None:
        return first
    return Expr(f"({first.text} && {second.text})", first.reads | second.reads)


def either(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """Whether `yes` holds or `no` does, of which the one implies `condition` and the other its contrary."""
    if no.value == 0:
        return yes
    if yes.value == 0:
        return no
    if yes == condition and no == negate(condition):
        return number(1)
    return Expr(f"({yes.text} || {no.text})", yes.reads | no.reads)


def declare(name: str, bits: int, value: int) -> str:
    """A variable of so many bits."""
    kind = f"bit {name}" if bits == 1 else f"unsigned {name} : {bits}"
    return f"{kind} = {value};" if value else f"{kind};"


@dataclass
class Names:
    """Promela names for the model's, each once."""

    taken: set[str] = field(default_factory=set)

    def of(self, name: str) -> str:
        """A new name, as near as can be."""
        plain = re.sub(r"\W+", "_", name).strip("_")
        if plain[:1].isdigit() or plain in KEYWORDS or re.fullmatch(r"[LJZlt]\d+(_.*)?", plain):
            plain = f"{plain}_" if not plain[:1].isdigit() else f"x{plain}"
        unique, count = plain, 1
        while unique in self.taken:
            count += 1
            unique = f"{plain}_{count}"
        self.taken.add(unique)
        return unique
