# SPDX-License-Identifier: GPL-2.0-only
"""The search along the paths of step code for what is held on all of them, native through Numba.

A path is a set of bits, of locks, of lockdep classes, and of values of registers (locks.py). Paths to an instruction
that differ are kept apart, up to MAX_PATHS; beyond that, what holds on all of them is kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfncache.check.code import DEST, FIRST, NONE, OP, SECOND
from pfncache.check.engine.numba_cache import allocating_njit, int64, njit
from pfncache.check.ops import Op

MAX_PATHS = 8
UNKNOWN = -1
FIRST_PATHS = 256
"""Paths that are to be followed, at first; the room for them doubles."""
_ONE = np.uint64(1)


class Values(NamedTuple):
    """The values that registers may hold on a path."""

    first: NDArray[np.int64]
    """By register: the bit of its first value. Those of the next register follow its last one."""
    numbers: NDArray[np.int64]
    """By bit: the value; 0 for bits that are none of a value."""
    is_tested: NDArray[np.bool_]
    """By register, and for NONE: whether its values are followed."""
    is_constant: NDArray[np.bool_]
    """By register, and for NONE."""
    constants: NDArray[np.int64]
    """By register: the constant that it holds."""


class Effects(NamedTuple):
    """What instructions do to a path."""

    use: NDArray[np.int64]
    """By instruction: its lock annotation, a row of the following."""
    acquired: NDArray[np.uint64]
    """By annotation: what an ACQUIRE adds."""
    released: NDArray[np.uint64]
    """By annotation: what a RELEASE takes away."""
    live: NDArray[np.uint64]
    """By instruction: what matters before it."""


@njit
def _held_value(path: NDArray[Any], register: int, values: Values) -> int:
    """Return the bit of the value that a register holds on a path; UNKNOWN if it is not known."""
    for bit in range(values.first[register], values.first[register + 1]):
        if (path[bit >> 6] >> np.uint64(bit & 63)) & _ONE != 0:
            return bit
    return UNKNOWN


@njit
def _evaluate(op: int, x: int, y: int) -> int:
    if op == Op.MOVE:
        return x
    if op == Op.NOT:
        return int(x == 0)
    if op == Op.EQ:
        return int(x == y)
    if op == Op.NE:
        return int(x != y)
    if op == Op.LT:
        return int(x < y)
    return int(x <= y)


@njit
def _is_known(paths: NDArray[Any], place: int, count: int, path: NDArray[Any]) -> bool:
    for known in range(count):
        word = 0
        while word < len(path) and paths[place, known, word] == path[word]:
            word += 1
        if word == len(path):
            return True
    return False


@njit
def _advance(row: NDArray[Any], path: NDArray[Any], values: Values) -> None:
    """Write the result of an instruction into a register that is followed, or that it is not known."""
    known = True
    x = y = int64(0)
    for column in range(FIRST, SECOND + 1):
        register = row[column]
        if register == NONE:
            continue
        bit = _held_value(path, register, values)
        if bit == UNKNOWN and not values.is_constant[register]:
            known = False
        number = values.numbers[bit] if bit != UNKNOWN else values.constants[register]
        if column == FIRST:
            x = number
        else:
            y = number
    result = _evaluate(row[OP], x, y)
    for bit in range(values.first[row[DEST]], values.first[row[DEST] + 1]):
        if known and values.numbers[bit] == result:
            path[bit >> 6] |= _ONE << np.uint64(bit & 63)
        else:
            path[bit >> 6] &= ~(_ONE << np.uint64(bit & 63))


@njit
def _branch_not_taken(row: NDArray[Any], path: NDArray[Any], values: Values) -> int:
    """Return the successor of a branch that is not possible on a path; NONE if both are, or it is no branch."""
    op, register = row[OP], row[FIRST]
    if op != Op.JZ and op != Op.JNZ:  # noqa: PLR1714 - Numba has no `in` for these
        return NONE
    bit = _held_value(path, register, values)
    if bit == UNKNOWN and not values.is_constant[register]:
        return NONE
    number = values.numbers[bit] if bit != UNKNOWN else values.constants[register]
    return 0 if (number == 0) == (op == Op.JZ) else 1


@allocating_njit
def _grown(todo: NDArray[Any]) -> NDArray[Any]:
    """Return the same rows, with room for as many more."""
    grown = np.zeros((2 * todo.shape[0], todo.shape[1]), dtype=np.uint64)
    for row in range(todo.shape[0]):
        for word in range(todo.shape[1]):
            grown[row, word] = todo[row, word]
    return grown


@allocating_njit
def held_on_all_paths(
    rows: NDArray[Any], follow: NDArray[Any], effects: Effects, values: Values, counts: NDArray[Any]
) -> NDArray[Any]:
    """Return what holds on all paths to each instruction, and in `counts`, how many there are that differ."""
    size, width = effects.live.shape
    paths = np.zeros((size, MAX_PATHS, width), dtype=np.uint64)
    todo = np.zeros((FIRST_PATHS, width + 1), dtype=np.uint64)  # a path, and the instruction that it leads to
    path = np.zeros(width, dtype=np.uint64)
    after = np.zeros(width, dtype=np.uint64)
    counts[0] = 1
    top = 1
    while top > 0:
        top -= 1
        i = np.int64(todo[top, width])
        row = rows[i]
        use = effects.use[i]
        for word in range(width):
            path[word] = todo[top, word]
            if row[OP] == Op.ACQUIRE:
                path[word] |= effects.acquired[use, word]
            elif row[OP] == Op.RELEASE:
                path[word] &= ~effects.released[use, word]
        if values.is_tested[row[DEST]]:
            _advance(row, path, values)
        skipped = _branch_not_taken(row, path, values)
        for branch in range(2):
            place = follow[i, branch]
            if place == NONE or branch == skipped:
                continue
            for word in range(width):
                after[word] = path[word] & effects.live[place, word]
            if _is_known(paths, place, counts[place], after):
                continue
            if counts[place] == MAX_PATHS:
                for known in range(MAX_PATHS):
                    for word in range(width):
                        after[word] &= paths[place, known, word]
                if _is_known(paths, place, counts[place], after):
                    continue
                counts[place] -= MAX_PATHS
            if top == todo.shape[0]:
                todo = _grown(todo)
            for word in range(width):
                paths[place, counts[place], word] = todo[top, word] = after[word]
            todo[top, width] = np.uint64(place)
            counts[place] += 1
            top += 1
    for at in range(size):
        for known in range(1, counts[at]):
            for word in range(width):
                paths[at, 0, word] &= paths[at, known, word]
    return paths
