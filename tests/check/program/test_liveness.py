# SPDX-License-Identifier: GPL-2.0-only
"""The registers that are live are those that a path uses before it writes them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pfncache.check.program.liveness import _by_value, _live, add_values
from tests.check.program.test_solver import random_flow

REGISTERS = 9


def by_paths(follow: list[list[int]], uses: list[list[int]], defines: list[int], start: int, register: int) -> bool:
    """Follow all paths from `start` up to where the register is written."""
    todo, seen = [start], {start}
    while todo:
        i = todo.pop()
        if register in uses[i]:
            return True
        if defines[i] != register:
            more = {j for j in follow[i] if j >= 0} - seen
            seen |= more
            todo += more
    return False


@pytest.mark.parametrize("seed", range(60))
def test_live_registers_are_those_that_a_path_uses_first(seed: int) -> None:
    draw = random.Random(seed)
    count = draw.randrange(1, 40)
    follow = random_flow(draw, count)
    uses = np.array([[draw.choice((-1, draw.randrange(REGISTERS))) for _ in range(2)] for _ in range(count)])
    defines = np.array([draw.choice((-1, draw.randrange(REGISTERS))) for _ in range(count)])
    where, which = _live(follow, uses, defines, REGISTERS)
    table = follow.tolist(), uses.tolist(), defines.tolist()
    expected = {(i, r) for i in range(count) for r in range(REGISTERS) if by_paths(*table, i, r)}
    assert sorted(zip(where.tolist(), which.tolist(), strict=True)) == sorted(expected)


def test_more_than_there_was_room_for() -> None:
    """Forty registers that live from the first of 400 instructions to the last: more than 16 for each."""
    follow = np.array([[i + 1 if i < 399 else -1, -1] for i in range(400)])
    uses = np.array([[i - 360 if i >= 360 else -1, -1] for i in range(400)])
    where, which = _live(follow, uses, np.full(400, -1), 40)
    assert np.bincount(which).tolist() == list(range(361, 401))
    assert sorted(where[which == 39].tolist()) == list(range(400))


def test_rows_by_value() -> None:
    begins, rows = _by_value(np.array([[2, -1], [0, 2], [2, 2]]), 3)
    assert (begins.tolist(), rows.tolist()) == ([0, 1, 1, 5], [1, 0, 1, 2, 2])


def test_values_of_live_registers() -> None:
    """Register 0 has members 1 and 2, register 1 none, register 2 those from 3 to 66."""
    sets = np.zeros((3, 2), dtype=np.uint64)
    add_values(np.array([0, 2, 2, 3]), np.array([0, 1, 2]), np.array([1, 3, 3, 67]), sets)
    assert sets.tolist() == [[0b110, 0], [0, 0], [(1 << 64) - 8, 0b111]]
