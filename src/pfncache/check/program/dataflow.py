# SPDX-License-Identifier: GPL-2.0-only
"""The control flow of step code, and what is computed from a code once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from pfncache.check.code import JUMP, NONE, OP, Code
from pfncache.check.ops import BRANCHES, FINAL, JUMPS, Op

P = ParamSpec("P")
R = TypeVar("R")
OPS = max(Op) + 1


def by_op(ops: frozenset[Op]) -> NDArray[np.bool_]:
    """Return a table: whether an operation is one of `ops`."""
    return np.array([op in ops for op in range(OPS)])


IS_FINAL, IS_BRANCH, IS_JUMP = by_op(FINAL), by_op(BRANCHES), by_op(JUMPS)


def derived(function: Callable[Concatenate[Code, P], R]) -> Callable[Concatenate[Code, P], R]:
    """Compute what a code has once, for each of the arguments."""

    @functools.wraps(function)
    def once(code: Code, /, *args: P.args, **kwargs: P.kwargs) -> R:
        key = function, args
        if key not in code.derived:
            code.derived[key] = function(code, *args, **kwargs)
        found: R = code.derived[key]
        return found

    return once


@derived
def edges(code: Code) -> NDArray[np.int64]:
    """Return two successors of each instruction; of a branch, the next instruction and then the target of the jump."""
    ops, here = code.rows[:, OP], np.arange(len(code.rows))
    found = np.full((len(ops), 2), NONE, dtype=np.int64)
    found[:, 0] = np.where(IS_FINAL[ops], NONE, here + 1)
    jumps = ops == Op.JUMP
    found[jumps, 0] = (here + code.rows[:, JUMP])[jumps]
    branches = IS_BRANCH[ops]
    found[branches, 1] = (here + code.rows[:, JUMP])[branches]
    return found


@derived
def successors(code: Code) -> list[tuple[int, ...]]:
    """Return the successors of each instruction, as edges() has them."""
    return [tuple(j for j in pair if j != NONE) for pair in edges(code).tolist()]


@derived
def in_loops(code: Code) -> NDArray[np.bool_]:
    """Return, for each instruction, whether it is between a backward jump and its target.

    All that can be executed twice are.
    """
    size = len(code.rows)
    change = np.zeros(size + 1, dtype=np.int64)
    follow = edges(code)
    for branch in range(2):
        target = follow[:, branch]
        back = np.flatnonzero((target != NONE) & (target <= np.arange(size)))
        np.add.at(change, target[back], 1)
        np.subtract.at(change, back + 1, 1)
    return np.cumsum(change)[:size] > 0
