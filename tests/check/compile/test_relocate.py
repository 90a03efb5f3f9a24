# SPDX-License-Identifier: GPL-2.0-only
"""Code of a function, where it is inlined."""

from __future__ import annotations

import gc
import weakref

from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.function_code import Body, Inlined, LocalInstr, NewRegister
from pfncache.check.compile.relocate import Relocator
from pfncache.check.compile.source import Location
from pfncache.check.compile.values import BOOL, IntKind
from pfncache.check.ir import Event
from pfncache.check.ops import Op
from pfncache.lang.part_of import CALLER
from tests.check.toys import Box, system

OUTER, PART, INNER = Location("f", 1, "outer"), Location("f", 2, CALLER), Location("f", 3, "inner")
SMALL = IntKind(0, 3)


def test_a_call_that_stands_twice() -> None:
    skip = LocalInstr(Op.JZ, (0,), None, 1)
    event = LocalInstr(Op.EVENT, (), None, Event((PART, INNER), atomic=False))
    double = LocalInstr(Op.ADD, (0, 1), 2, None)
    callee = Body((skip, event, double), ((1, 3),), 2, (1, NewRegister(SMALL, False, IntKind(0, 7))))
    call = Inlined(callee, (0,), (2,), (OUTER,), touches_state=True)
    again = Inlined(callee, (1,), (2,), (OUTER,), touches_state=True)
    taken = (NewRegister(BOOL, True, BOOL), call, again, 1)
    code = Relocator().code(Body((0, 1, LocalInstr(Op.HALT, (), None, None)), (), 1, taken))

    assert [instr.op for instr in code.instrs] == [Op.JZ, Op.EVENT, Op.ADD] * 2 + [Op.HALT]
    assert [[r.number for r in instr.reads] for instr in code.instrs] == [[0], [], [0, 1], [2], [], [2, 1], []]
    assert [code.instrs[i].dest for i in (2, 5)] == [(2, SMALL, False), (3, SMALL, False)]
    assert code.kinds == {0: BOOL, 2: IntKind(0, 7), 3: IntKind(0, 7)}
    assert code.constants == {1: 1}
    assert [code.labels[code.instrs[i].label] for i in (0, 3)] == [3, 6]
    assert code.instrs[1].event.stack == (OUTER, PART._replace(function="outer"), INNER)


def add(box: Box, value: int) -> int:
    box.count += value
    return value


def thrice(box: Box) -> None:
    add(box, 1)
    add(box, 1)
    add(box, add(box, 2))


def test_one_body_for_equal_calls() -> None:
    (code,) = compile_system(system(thrice)).codes
    events = [instr.event for instr in code.instrs if instr.op == Op.EVENT]
    lines = [tuple(place.line - thrice.__code__.co_firstlineno for place in event.stack[1:2]) for event in events]
    assert lines == [(n,) for n in (1, 1, 2, 2, 3, 3, 3, 3)]
    assert [event.stack[-1].function for event in events] == ["add"] * 8
    assert all(code.event(i) is code.instrs[i].event for i in code.where(Op.EVENT).tolist())
    stored = [instr.variable.name for instr in code.instrs if instr.op == Op.STORE]
    assert stored == ["count"] * 4


def test_code_is_freed_without_the_garbage_collector() -> None:
    code = Relocator().code(Body((LocalInstr(Op.HALT, (), None, None),), (), 1, ()))
    assert code.instrs[0].op == Op.HALT
    alive = weakref.ref(code)
    gc.disable()
    try:
        del code
        assert alive() is None
    finally:
        gc.enable()
