# SPDX-License-Identifier: GPL-2.0-only
"""The solvers give the least solution of their equations, on control flow of every form."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from pfncache.check.program.solver import Sets, backwards, empty_sets

MEMBERS = 70


def random_sets(draw: random.Random, count: int) -> Sets:
    sets = empty_sets(count, MEMBERS)
    for row in range(count):
        for member in range(MEMBERS):
            if draw.random() < 0.1:
                sets[row, member // 64] |= np.uint64(1 << member % 64)
    return sets


def random_flow(draw: random.Random, count: int) -> NDArray[np.int64]:
    """Each instruction has no, one or two successors, anywhere before or behind it."""
    return np.array([[draw.choice((-1, i + 1 if i + 1 < count else -1, draw.randrange(count))) for _ in range(2)]
                     for i in range(count)], dtype=np.int64)  # fmt: skip


def by_definition(follow: NDArray[np.int64], gen: Sets, kill: Sets, ends: Sets, barrier: NDArray[np.bool_]) -> Sets:
    """Apply the equations to all instructions at once, until nothing changes."""
    found = np.zeros_like(gen)
    while True:
        out = ends.copy()
        for branch in range(2):
            out |= np.where(follow[:, branch, None] >= 0, found[follow[:, branch]], np.uint64(0))
        into = np.where(barrier[:, None], np.uint64(0), gen | (out & ~kill))
        if np.array_equal(into, found):
            return found
        found = into


@pytest.mark.parametrize("seed", range(60))
def test_backwards_finds_the_least_solution(seed: int) -> None:
    draw = random.Random(seed)
    count = draw.randrange(1, 40)
    follow = random_flow(draw, count)
    gen, kill, ends = (random_sets(draw, count) for _ in range(3))
    barrier = np.array([draw.random() < 0.1 for _ in range(count)])
    expected = by_definition(follow, gen, kill, ends, barrier)
    assert np.array_equal(backwards(follow, gen, kill, ends, barrier), expected)
