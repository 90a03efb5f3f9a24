# SPDX-License-Identifier: GPL-2.0-only
"""Rows of a code, in two programs."""

from __future__ import annotations

from pfncache.check.compile.values import BOOL, IntKind, Reg
from pfncache.check.ir import Code, Column, Event, Failure, Instr, Variable
from pfncache.check.ops import Op
from pfncache.check.program.template import ProgramPlaces, template_of
from tests.check.toys import Box, Cell

A, B, ONE = Reg(0, IntKind(0, 3)), Reg(1, BOOL), Reg(2, IntKind(1, 1))
COUNT, CELLS = Variable(Box, 1, "count"), Column(Cell, "value")
EVENT, FAILURE = Event((), atomic=False), Failure("assertion", ())


def code() -> Code:
    instrs = [
        Instr(Op.EVENT, subject=EVENT),
        Instr(Op.LOAD, (), A, COUNT),
        Instr(Op.SYMMETRIC, (A,)),
        Instr(Op.LE, (ONE, A), B),
        Instr(Op.JNZ, (B,), subject=7),
        Instr(Op.FAIL, subject=FAILURE),
        Instr(Op.EVENT, subject=EVENT),
        Instr(Op.STOREX, (A, ONE), subject=CELLS),
        Instr(Op.TABLE, (A,), B, (5, 6)),
        Instr(Op.HALT),
    ]
    return Code(instrs=instrs, labels={7: 6}, kinds={0: A.kind, 1: BOOL}, registers=3, constants={1: 2})


def places(first: int) -> ProgramPlaces:
    """ProgramPlaces that all begin at `first`; only the second event is visible."""
    return ProgramPlaces(
        register=lambda number: first + number,
        slot=lambda variable: (1, 2, 3, -1),
        column=lambda column: first + 20,
        table=lambda table: first + 30,
        mark={},
        counter={6: 2},
        first_row=first,
        first_point=first,
        first_failure=first,
        first_acquisition=first,
    )


def test_rows_of_one_code_in_two_programs() -> None:
    template = template_of(code(), frozenset({Op.RELEASE}))
    assert template.points == [EVENT, EVENT]
    assert template.failures == [FAILURE]
    for first in (0, 100):
        assert template.rows(places(first)).tolist() == [
            [Op.EVENT, -1, first, 0, 0, 0],
            [Op.LOAD, first, 1, 2, 3, -1],
            [Op.SYMMETRIC, first, 0, 0, 0, 0],
            [Op.LE, first + 1, first + 2, first, 0, 0],
            [Op.JNZ, first + 1, first + 6, 0, 0, 0],
            [Op.FAIL, first, 0, 0, 0, 0],
            [Op.EVENT, 2, first + 1, 0, 0, 0],
            [Op.STOREX, first + 20, first, first + 2, 0, 0],
            [Op.TABLE, first + 1, first + 30, first, 0, 0],
            [Op.HALT, 0, 0, 0, 0, 0],
        ]


def test_jumps_over_what_is_left_out() -> None:
    one = code()
    template = template_of(one, frozenset({Op.RELEASE, Op.SYMMETRIC}))
    assert template.row_of.tolist() == [0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]
    assert template.rows(places(10))[3].tolist() == [Op.JNZ, 11, 15, 0, 0, 0]
    assert template_of(one, frozenset({Op.RELEASE, Op.SYMMETRIC})) is template
