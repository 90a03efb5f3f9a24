# SPDX-License-Identifier: GPL-2.0-only
"""The table of operations has a row for each, instructions follow it, and each language computes the same result."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.export.expression import named
from pfncache.check.export.expression import operation as expression_of
from pfncache.check.export.promela.text import text as promela_text
from pfncache.check.export.tla.text import text as tla_text
from pfncache.check.ir import Column, Event, Failure, LockUse, Variable
from pfncache.check.ops import EVALUATE, OPERATIONS, TRUTHS, Op, SubjectKind
from tests.check import toys
from tests.check.operands import operands_of

KINDS: dict[SubjectKind, type] = {
    SubjectKind.NONE: type(None),
    SubjectKind.EVENT: Event,
    SubjectKind.LABEL: int,
    SubjectKind.VARIABLE: Variable,
    SubjectKind.COLUMN: Column,
    SubjectKind.TABLE: tuple,
    SubjectKind.OUTCOMES: int,
    SubjectKind.FAILURE: Failure,
    SubjectKind.LOCK: LockUse,
}


def test_every_operation_has_a_row() -> None:
    assert set(OPERATIONS) == set(Op)


@pytest.mark.parametrize(
    "functions",
    [
        (toys.increment, toys.set_flag),
        (toys.increment_locked, toys.roll_alike),
        (toys.arithmetic, toys.through_generator),
        (toys.roll, toys.index_by_count),
        (toys.allocate, toys.use, toys.free),
    ],
)
def test_instructions_follow_the_table(functions: tuple[Callable[..., Any], ...]) -> None:
    for code in compile_system(toys.system(*functions)).codes:
        for instr in code.instrs:
            row = OPERATIONS[instr.op]
            assert (len(instr.reads), instr.dest is not None) == (row.reads, row.writes), instr
            assert type(instr.subject) is KINDS[row.subject], instr


def conjunction(a: int, b: int) -> int:
    """And(a, b) of the TLA+ prelude, by its definition there."""
    if a == b:
        return a
    return 0 if 0 in (a, b) else 2 * conjunction(a // 2, b // 2) + (a % 2) * (b % 2)


PRELUDE = {
    "Bit": int,
    "And": conjunction,
    "Or": lambda a, b: a + b - conjunction(a, b),
    "Xor": lambda a, b: a + b - 2 * conjunction(a, b),
}


def of_tla(text: str) -> str:
    """An expression of TLA+ as one of Python."""
    for theirs, ours in ((" = ", " == "), ("#", "!="), ("\\div", "//"), ("^", "**"), ("~", "not ")):
        text = text.replace(theirs, ours)
    return text


def of_promela(text: str) -> str:
    """An expression of Promela as one of Python, for operands that are not negative where it divides."""
    return text.replace("!(", "0 == (").replace(" / ", " // ")


@pytest.mark.parametrize("op", [op for op in EVALUATE if op != Op.MOVE], ids=lambda op: op.name)
def test_exported_text_means_the_same(op: Op) -> None:
    names = "ab"[: OPERATIONS[op].reads]
    expression = expression_of(op, *map(named, names))
    promela, tla = of_promela(promela_text(expression)), of_tla(tla_text(expression))
    for values in operands_of(op):
        bound = dict(zip(names, values, strict=True))
        expected = EVALUATE[op](*values)
        assert eval(tla, PRELUDE, bound) == expected, (tla, bound)
        if op not in (Op.DIV, Op.MOD) or values[0] >= 0:
            assert int(eval(promela, {}, bound)) == expected, (promela, bound)


def test_truths_are_0_or_1() -> None:
    for op in TRUTHS:
        results = itertools.starmap(EVALUATE[op], operands_of(op))
        assert {(type(result), result) for result in results} == {(int, 0), (int, 1)}
