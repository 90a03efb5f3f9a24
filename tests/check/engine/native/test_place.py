# SPDX-License-Identifier: GPL-2.0-only
"""The native code of a place does what the interpreter does, instruction by instruction."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from pfncache.check.engine.interpreter import BLOCKED, FAILED, RANGE, STEPPED, SYMMETRIC
from pfncache.check.engine.native.place import INTERPRET, PlaceFunction
from pfncache.check.engine.native.rows import ProgramRows
from pfncache.check.ops import EVALUATE, OPERATIONS, Op
from pfncache.check.program.image import COUNTER_FIRST_EVENT
from tests.check.engine.native.compared import Compared
from tests.check.engine.native.images import (
    COLUMN,
    CONSTANT_VALUES,
    REGISTER_COUNT,
    TABLE,
    VARIABLE_WORD,
    image_of,
    registers_of,
    state_of,
)
from tests.check.operands import operands_of

END = (Op.EVENT, COUNTER_FIRST_EVENT + 1)
PROGRAMS = 60
"""Random programs."""
ONE, TWO = REGISTER_COUNT + CONSTANT_VALUES.index(1), REGISTER_COUNT + CONSTANT_VALUES.index(2)


def run(*code: Sequence[int], registers: Sequence[int] = (), choice: int = 0) -> tuple[int, list[int], Compared]:
    """Run code in both ways. Returns result and registers."""
    both = Compared(image_of([*code, END, (Op.HALT,)]), covered=2)
    result, after = both.step(state_of(registers), 0, choice)
    return result, registers_of(after), both


@pytest.mark.parametrize("op", EVALUATE, ids=lambda op: op.name)
def test_result(op: Op) -> None:
    """Edge values of every operation on registers: the same result as in Python."""
    both = Compared(image_of([(op, 2, *range(OPERATIONS[op].reads)), END, (Op.HALT,)]))
    for values in operands_of(op):
        result, after = both.step(state_of(values), 0)
        assert (result, registers_of(after)[2]) == (STEPPED, EVALUATE[op](*values)), values
    assert set(both.results) == {STEPPED}


@pytest.mark.parametrize("op", [op for op in EVALUATE if OPERATIONS[op].reads == 2], ids=lambda op: op.name)
def test_constant_operand(op: Op) -> None:
    for left in range(-3, 4):
        result, registers, both = run((op, 2, 0, TWO), registers=[left])
        assert (result, registers[2], set(both.results)) == (STEPPED, EVALUATE[op](left, 2), {STEPPED})


@pytest.mark.parametrize("op", [Op.DIV, Op.MOD, Op.SHL, Op.SHR], ids=lambda op: op.name)
def test_operand_that_llvm_does_not_define(op: Op) -> None:
    """The interpreter takes such a step, whatever it makes of it."""
    text = PlaceFunction(ProgramRows(image_of([(op, 2, 0, 1), END, (Op.HALT,)])), COUNTER_FIRST_EVENT).text
    tested = "icmp slt i64" if op in (Op.DIV, Op.MOD) else "icmp uge i64"
    assert tested in text.partition("ret i64")[0]


@pytest.mark.parametrize("number", range(1, len(COLUMN) + 1))
def test_variables(number: int) -> None:
    """By name and by number; the bits beside the variable stay as they are."""
    word, shift, bits, low = slot = COLUMN[number - 1]
    image = image_of([
        (Op.LOAD, 0, *slot), (Op.LOADX, 1, 0, 2), (Op.STORE, 3, *slot), (Op.LOADX, 4, 0, 2), (Op.STOREX, 0, 2, 5),
        END, (Op.HALT,),
    ])  # fmt: skip
    both = Compared(image)
    for stored in {0, 1, (1 << bits) - 1}:
        for first in (low, low + (1 << bits) - 1, low - 1):
            state = state_of([77, 77, number, first, 77, low])
            if word == VARIABLE_WORD:
                state[word] = 0xFFFF_FFFF_FFFF_FFFF & ~(((1 << bits) - 1) << shift) | stored << shift
            result, after = both.step(state, 0)
            assert result == (RANGE if first < low else STEPPED)
            if result == STEPPED:
                value = low + stored if bits else low
                assert registers_of(after)[:5] == [value, value, number, first, first]
    assert both.results.keys() == {STEPPED, INTERPRET}


def test_table() -> None:
    for index, number in enumerate(TABLE):
        assert run((Op.TABLE, 0, 0, 1), registers=[0, index])[1][0] == number


@pytest.mark.parametrize("condition", [-1, 0, 1])
def test_leaves(condition: int) -> None:
    """The step is disabled, symmetric to another, or goes on."""
    assert run((Op.BLOCK, 0), registers=[condition])[0] == (STEPPED if condition else BLOCKED)
    assert run((Op.SYMMETRIC, 0), registers=[condition])[0] == (SYMMETRIC if condition else STEPPED)
    skipped = (Op.MOVE, 1, 0)
    for row, taken in (((Op.JUMP, 3), True), ((Op.JZ, 0, 3), not condition), ((Op.JNZ, 0, 3), condition != 0)):
        assert run(row, skipped, registers=[condition, 99])[1][1] == (99 if taken else condition)


def test_choice() -> None:
    for outcome in range(3):
        result, registers, _ = run((Op.CHOOSE, 1, 3), choice=outcome)
        assert (result, registers[1]) == (STEPPED, outcome)


def test_marks() -> None:
    _, _, both = run((Op.ACQUIRE, 1), (Op.REACH, 0, 0))
    assert both.cover.tolist() == [0, 1]
    _, _, both = run((Op.REACH, 0, 0), registers=[-5])
    assert both.native_cover.tolist() == [1, 0]


def test_violation_is_left_to_the_interpreter() -> None:
    result, _, both = run((Op.EVENT, -1), (Op.FAIL, 5))
    assert (result, both.results) == (FAILED, {INTERPRET: 1})


@pytest.mark.parametrize(("rounds", "own"), [(3, STEPPED), (2_000, STEPPED), (100_000, INTERPRET), (-1, INTERPRET)])
def test_loop(rounds: int, own: int) -> None:
    """A long loop, and one that does not end, are left to the interpreter, which takes the step or reports it."""
    code = [(Op.ADD, 1, 1, TWO), (Op.SUB, 0, 0, ONE), (Op.JNZ, 0, 1), END, (Op.HALT,)]
    both = Compared(image_of(code), has_long_steps=True)
    result, after = both.step(state_of([rounds]), 0)
    assert both.results == {own: 1}
    if result == STEPPED:
        assert registers_of(after)[:2] == [0, 2 * rounds]


def test_random_code() -> None:
    """Branches, joins and loops of random instructions, from random states, for as long as the actor goes on."""
    results: Counter[int] = Counter()
    for seed in range(PROGRAMS):
        rng = random.Random(seed)
        both = Compared(image_of(random_code(rng)), covered=2)
        for _ in range(30):
            state = state_of([rng.randrange(-4, 9) for _ in range(REGISTER_COUNT)], rng.getrandbits(64))
            for _ in range(12):
                result, state = both.step(state, 0, rng.randrange(3))
                if result != STEPPED or state[0] == 0:
                    break
        results += both.results
    assert min(results[result] for result in (STEPPED, BLOCKED, SYMMETRIC, INTERPRET)) > PROGRAMS


OFTEN = (Op.LOAD, Op.STORE, Op.LOADX, Op.STOREX, Op.TABLE, Op.JZ, Op.JNZ, Op.EVENT)
MIXED = (*EVALUATE, *OFTEN, *OFTEN, Op.JUMP, Op.CHOOSE, Op.BLOCK, Op.SYMMETRIC, Op.ACQUIRE, Op.REACH)
"""Operations of random code."""


def random_code(rng: random.Random) -> list[Sequence[int]]:
    """Return up to 60 instructions: operations, accesses, branches in both directions, some events, and an end."""
    size = rng.randrange(20, 60)
    registers = range(REGISTER_COUNT)
    read = range(REGISTER_COUNT + len(CONSTANT_VALUES))
    positive = range(REGISTER_COUNT + CONSTANT_VALUES.index(1), read.stop)
    code: list[Sequence[int]] = []
    events = COUNTER_FIRST_EVENT
    for at in range(size):
        to, a, b = rng.choice(registers), rng.choice(read), rng.choice(read)
        op = rng.choice(MIXED)
        target = 1 + (rng.randrange(at + 1, size + 1) if rng.random() < 0.8 else rng.randrange(at + 1))
        number, slot = rng.choice(positive[: len(COLUMN) - 1]), rng.choice(COLUMN)
        divides = op in (Op.DIV, Op.MOD, Op.SHL, Op.SHR)
        row: dict[Op, Sequence[int]] = {
            Op.LOAD: (to, *slot), Op.STORE: (to, *slot), Op.LOADX: (to, 0, number), Op.STOREX: (0, number, to),
            Op.TABLE: (to, 0, number), Op.JZ: (a, target), Op.JNZ: (a, target), Op.JUMP: (target,),
            Op.CHOOSE: (to, 3), Op.BLOCK: (b,), Op.SYMMETRIC: (b,), Op.ACQUIRE: (1,), Op.REACH: (a, 0),
        }  # fmt: skip
        operands = row.get(op, (to, a, rng.choice(positive) if divides else b)[: 1 + OPERATIONS[op].reads])
        if op == Op.EVENT:
            events += rng.random() < 0.5
            operands = (events,) if events > COUNTER_FIRST_EVENT and (Op.EVENT, events) not in code else (-1,)
        code.append((op, *operands))
    return [*code, (Op.HALT,)]
