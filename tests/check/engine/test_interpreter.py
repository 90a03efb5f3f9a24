# SPDX-License-Identifier: GPL-2.0-only
"""The native interpreter does what the table of operations says, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from pfncache.check.engine import interpreter
from pfncache.check.ops import EVALUATE, OPERATIONS, Op
from pfncache.check.program.image import AT_END, CODE, HEADER, INSTR, REGISTERS, SLOT, TABLES, VARIABLES, WORDS
from tests.check.operands import operands_of

REGISTER_COUNT = 8
WORD, SHIFT, BITS, LOW = 1, 5, 4, -3
"""The slot of the variable: a value from -3 to 12."""
OTHERS = 0xFFFF_FFFF_FFFF_FE1F
"""The bits beside it."""
CONSTANTS = (7, -9, 11)


class Run(NamedTuple):
    """What a piece of code has done."""

    result: int
    registers: list[int]
    state: list[int]
    out: list[int]
    cover: list[int]


def run(code: Sequence[tuple[int, ...]], registers: Sequence[int] = (), stored: int = 0, choice: int = 0) -> Run:
    """Run instructions as the check at the end, with the variable holding `stored`. HALT is added."""
    rows = [(*row, *[0] * (INSTR - len(row))) for row in (*code, (Op.HALT,))]
    image = np.zeros(HEADER, dtype=np.int64)
    image[CODE], image[AT_END] = HEADER, 0
    image[VARIABLES] = HEADER + len(rows) * INSTR
    image[TABLES] = image[VARIABLES] + 2 * SLOT
    slots = (0, 0, 4, 0, WORD, SHIFT, BITS, LOW)
    image = np.concatenate([image, np.array([*np.ravel(rows), *slots, *CONSTANTS], dtype=np.int64)])
    state = np.zeros(2, dtype=np.uint64)
    state[WORD] = np.uint64(OTHERS | (stored - LOW) << SHIFT)
    held = np.zeros(REGISTER_COUNT, dtype=np.int64)
    held[: len(registers)] = registers
    image[REGISTERS], image[WORDS] = REGISTER_COUNT, len(state)
    out = interpreter.new_out(image)
    cover = np.zeros(2, dtype=np.uint8)
    result = interpreter.step(image, state, held, out, cover, interpreter.NO_ACTOR, choice)
    return Run(int(result), held.tolist(), state.tolist(), out.tolist(), cover.tolist())


@pytest.mark.parametrize("op", EVALUATE, ids=lambda op: op.name)
def test_result(op: Op) -> None:
    """Edge values of every operation on registers: the same result as in Python."""
    for values in operands_of(op):
        code = [(op, 2, *range(OPERATIONS[op].reads))]
        found = run(code, values)
        assert (found.result, found.registers[2]) == (interpreter.STEPPED, EVALUATE[op](*values)), values


@pytest.mark.parametrize("value", [LOW, -1, 0, LOW + (1 << BITS) - 1])
def test_load_and_store(value: int) -> None:
    """By name and by number; the bits beside the variable stay as they are."""
    slot = (WORD, SHIFT, BITS, LOW)
    after = OTHERS | (value - LOW) << SHIFT
    assert run([(Op.LOAD, 0, *slot)], stored=value).registers[0] == value
    assert run([(Op.STORE, 0, *slot)], [value], stored=5).state[WORD] == after
    assert run([(Op.LOADX, 0, 0, 1)], [0, 2], stored=value).registers[0] == value
    assert run([(Op.STOREX, 0, 1, 0)], [value, 2], stored=5).state == [0, after]


@pytest.mark.parametrize("value", [LOW - 1, LOW + (1 << BITS)])
def test_store_out_of_range(value: int) -> None:
    """The instruction that stores it is reported, and the state is as before."""
    for row in ((Op.STORE, 0, WORD, SHIFT, BITS, LOW), (Op.STOREX, 0, 1, 0)):
        found = run([(Op.MOVE, 2, 2), row], [value, 2], stored=5)
        assert found.result == interpreter.RANGE
        assert found.out[interpreter.OUT_DETAIL] == HEADER + INSTR
        assert found.state[WORD] == OTHERS | (5 - LOW) << SHIFT


def test_table() -> None:
    for index, number in enumerate(CONSTANTS):
        assert run([(Op.TABLE, 0, 0, 1)], [0, index]).registers[0] == number


@pytest.mark.parametrize("condition", [-1, 0, 1])
def test_jumps(condition: int) -> None:
    """The instruction behind the jump is skipped when it is taken."""
    skipped = (Op.MOVE, 1, 0)
    for row, taken in (
        ((Op.JUMP, 2), True),
        ((Op.JZ, 0, 2), condition == 0),
        ((Op.JNZ, 0, 2), condition != 0),
    ):
        assert run([row, skipped], [condition, 99]).registers[1] == (99 if taken else condition)


@pytest.mark.parametrize("condition", [-1, 0, 1])
def test_block_and_symmetric(condition: int) -> None:
    blocked = run([(Op.BLOCK, 0)], [condition]).result
    assert blocked == (interpreter.STEPPED if condition else interpreter.BLOCKED)
    symmetric = run([(Op.SYMMETRIC, 0)], [condition]).result
    assert symmetric == (interpreter.SYMMETRIC if condition else interpreter.STEPPED)


def test_choose() -> None:
    """The outcome is the one that the caller takes, and the caller gets their number."""
    found = run([(Op.CHOOSE, 1, 3)], choice=2)
    assert (found.registers[1], found.out[interpreter.OUT_CHOICES]) == (2, 3)


def test_fail() -> None:
    found = run([(Op.FAIL, 5)])
    assert (found.result, found.out[interpreter.OUT_DETAIL]) == (interpreter.FAILED, 5)


def test_acquire() -> None:
    assert run([(Op.ACQUIRE, 1)]).cover == [0, 1]


def test_event_that_is_merged() -> None:
    """It is counted, and the step goes on."""
    found = run([(Op.EVENT, -1), (Op.EVENT, -1), (Op.MOVE, 1, 0)], [4])
    assert (found.result, found.registers[1], found.out[interpreter.OUT_EVENTS]) == (interpreter.STEPPED, 4, 2)


def test_endless() -> None:
    assert run([(Op.JUMP, 0)]).result == interpreter.ENDLESS
