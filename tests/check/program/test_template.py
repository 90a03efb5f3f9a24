# SPDX-License-Identifier: GPL-2.0-only
"""Rows of a code, in two programs."""

from __future__ import annotations

from pfncache.check.code import Code
from pfncache.check.compile.function_code import Body, LocalInstr, NewRegister
from pfncache.check.compile.relocate import Relocator
from pfncache.check.compile.source import Location
from pfncache.check.compile.values import BOOL, IntKind
from pfncache.check.ir import Column, Event, Failure, Variable
from pfncache.check.ops import Op
from pfncache.check.program.template import ProgramPlaces, template_of
from tests.check.toys import Box, Cell

A, B, ONE = range(3)
SMALL = IntKind(0, 3)
STACK = (Location("f", 1, "outer"),)
COUNT, CELLS = Variable(Box, 1, "count"), Column(Cell, "value")
EVENT, FAILURE = Event(STACK, atomic=False), Failure("assertion", STACK)


def code() -> Code:
    rows = (
        LocalInstr(Op.EVENT, (), None, EVENT),
        LocalInstr(Op.LOAD, (), A, COUNT),
        LocalInstr(Op.SYMMETRIC, (A,), None, None),
        LocalInstr(Op.LE, (ONE, A), B, None),
        LocalInstr(Op.JNZ, (B,), None, 7),
        LocalInstr(Op.FAIL, (), None, FAILURE),
        LocalInstr(Op.EVENT, (), None, EVENT),
        LocalInstr(Op.STOREX, (A, ONE), None, CELLS),
        LocalInstr(Op.TABLE, (A,), B, (5, 6)),
        LocalInstr(Op.HALT, (), None, None),
    )
    registers = (NewRegister(SMALL, False, SMALL), NewRegister(BOOL, False, BOOL), 1)
    return Relocator().code(Body(rows, ((7, 6),), 8, registers))


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
