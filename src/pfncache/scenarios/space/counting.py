# SPDX-License-Identifier: GPL-2.0-only
"""Counts the points of a space, and what part of it some of them are."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from itertools import combinations
from typing import Any

import numpy as np

from pfncache.scenarios.space.arrays import factors, row_of
from pfncache.scenarios.space.coverage import SpaceCoverage
from pfncache.scenarios.space.covering import Combination, Factors
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.space import SPACE, Space


def coverage_of(points: Iterable[Point], memory: Collection[str], space: Space = SPACE) -> SpaceCoverage:
    """Return what part of a space the points are, in a kernel that has these kinds of memory."""
    kinds = frozenset(memory)
    whole, wanted = _whole(space, kinds)
    rows = {row for p in points if p["memory"] in kinds and (row := row_of(p, space)) is not None}
    found = {(two, (row[two[0]], row[two[1]])) for row in rows for two in combinations(range(len(space.dimensions)), 2)}
    return SpaceCoverage(points=len(rows), of_points=whole, pairs=len(found & wanted), of_pairs=len(wanted))


@functools.cache
def _whole(space: Space, memory: frozenset[str]) -> tuple[int, frozenset[Combination]]:
    """Return how many points a space has with these kinds of memory, and the pairs of values that occur in them."""
    every = factors(space)
    number = list(space.by_name).index("memory")
    names = space.by_name["memory"].names
    some = every.restricted(number, [value for value, name in enumerate(names) if name in memory])
    return count(some), frozenset(some.combinations(2))


def count(some: Factors) -> int:
    """Return how many rows keep the rules: the sum over all rows of the product of the rules, as 0 or 1."""
    operands: list[Any] = []
    for number, size in enumerate(some.sizes):
        operands += [np.ones(size, np.int64), [number]]
    for numbers, allowed in some.tables:
        table = np.zeros([some.sizes[number] for number in numbers], np.int64)
        for values in allowed:
            table[values] = 1
        operands += [table, list(numbers)]
    return int(np.einsum(*operands, [], optimize="greedy"))
