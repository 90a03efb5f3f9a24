# SPDX-License-Identifier: GPL-2.0-only
"""Draws points of a space at random, each with the same probability."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

from pfncache.scenarios.space.arrays import factors, point_of
from pfncache.scenarios.space.counting import count
from pfncache.scenarios.space.covering import Factors, Row
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.space import SPACE, Space


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Points that were drawn, in the order in which they were."""

    points: tuple[Point, ...]
    of_points: int
    """The number of all points with these kinds of memory."""
    seed: int

    def __str__(self) -> str:
        return sample_text(len(self.points), self.of_points, self.seed)


def sample_text(points: int, of_points: int, seed: int) -> str:
    """Return what a sample is."""
    if points == of_points:
        return f"all {of_points:,} points of the space"
    return f"{points:,} of {of_points:,} points of the space, drawn with seed {seed}"


def sample(size: int, seed: int, memory: Collection[str], space: Space = SPACE) -> Sample:
    """Draw different points with some kinds of memory; all of them, in order, if there are no more than `size`.

    Equal arguments give equal points; a larger size gives the same ones first.
    """
    number = list(space.by_name).index("memory")
    has = [value for value, name in enumerate(space.by_name["memory"].names) if name in memory]
    some = factors(space).restricted(number, has)
    whole = count(some)
    rows = list(some.rows()) if whole <= size else _drawn(some, size, random.Random(seed))
    return Sample(points=tuple(point_of(row, space) for row in rows), of_points=whole, seed=seed)


def _drawn(some: Factors, size: int, generator: random.Random) -> list[Row]:
    """Draw rows by rejection: of independent values, those that keep every rule."""
    order = range(len(some.sizes))
    ends = [[table for table in some.tables if max(table[0]) == factor] for factor in order]
    found: dict[Row, None] = {}
    while len(found) < size:
        row: list[int] = []
        for factor in order:
            row.append(int(generator.random() * some.sizes[factor]))
            if any(tuple([row[f] for f in factors]) not in allowed for factors, allowed in ends[factor]):
                break
        else:
            found[tuple(row)] = None
    return list(found)
