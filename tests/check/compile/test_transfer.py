# SPDX-License-Identifier: GPL-2.0-only
"""Values that cross a call."""

from __future__ import annotations

from pfncache.check.compile.transfer import PassedArguments, abstract, concrete, registers_of, renumbered
from pfncache.check.compile.values import BOOL, Const, IntKind, Reg, Tuple
from pfncache.check.ir import Ref
from pfncache.check.system import Heap
from tests.check.toys import Box, Cell, increment, system

SMALL, LARGE = IntKind(0, 3), IntKind(0, 7)


def test_registers_are_numbered_by_their_first_use() -> None:
    passed = PassedArguments({5: LARGE}, lambda value: value)
    first, key = passed.take(Tuple((Reg(5, SMALL), Const(1), Reg(2, BOOL, True))))
    assert first == Tuple((Reg(0, SMALL), Const(1), Reg(1, BOOL, True)))
    assert key == (Tuple, (Reg, 0, SMALL, LARGE, False), (Const, 1), (Reg, 1, BOOL, BOOL, True))
    assert passed.take(Reg(2, BOOL, True)) == (Reg(1, BOOL, True), (Reg, 1, BOOL, BOOL, True))
    assert passed.registers == [Reg(5, SMALL), Reg(2, BOOL, True)]
    assert passed.kinds == [LARGE, BOOL]


def test_results_in_another_system() -> None:
    heaps = [Heap.of(system(increment)) for _ in range(2)]
    boxes = [heap.pools[Box][0] for heap in heaps]
    result = Tuple((Const((boxes[0], None)), Reg(4, SMALL)))
    named = abstract(result, heaps[0])
    assert named == Tuple((Const((Ref(Box, 1), None)), Reg(4, SMALL)))
    assert list(registers_of(named)) == [Reg(4, SMALL)]
    moved = renumbered(concrete(named, heaps[1]), {4: Reg(9, SMALL)})
    assert moved == Tuple((Const((boxes[1], None)), Reg(9, SMALL)))


def test_what_has_no_name_outside_of_the_system() -> None:
    heap = Heap.of(system(increment))
    assert abstract(Const(Cell("stray")), heap) is None
    assert abstract(Const((1, print)), heap) is None
