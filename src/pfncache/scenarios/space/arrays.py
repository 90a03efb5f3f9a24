# SPDX-License-Identifier: GPL-2.0-only
"""Arrays of scenarios that cover the space."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.constraints import CONSTRAINTS
from pfncache.scenarios.space.covering import Factors, Row
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.space import DIMENSIONS

THOROUGH = ("user", "memory", "operation", "start")
"""Dimensions of which the thorough array has every combination of three."""


def factors() -> Factors:
    """Return the dimensions as factors of a covering array, with the constraints as its rules."""
    names = [dimension.name for dimension in DIMENSIONS]
    rules = []
    for constraint in CONSTRAINTS:
        numbers = tuple(names.index(name) for name in constraint.dimensions)
        values = [[value.name for value in DIMENSIONS[number].values] for number in numbers]

        def allows(*row: int, constraint=constraint, values=values) -> bool:
            return constraint.allows(*(names[value] for names, value in zip(values, row, strict=True)))

        rules.append((numbers, allows))
    return Factors([len(dimension.values) for dimension in DIMENSIONS], rules)


@functools.cache
def pairwise() -> tuple[Scenario, ...]:
    """Return scenarios in which each pair of values of two dimensions occurs that the constraints allow."""
    space = factors()
    return _scenarios(space.cover(space.combinations(2)))


@functools.cache
def thorough() -> tuple[Scenario, ...]:
    """Return those of pairwise(), and more, in which each combination of three values of THOROUGH occurs too."""
    space = factors()
    rows = space.cover(space.combinations(2))
    among = [number for number, dimension in enumerate(DIMENSIONS) if dimension.name in THOROUGH]
    return _scenarios([*rows, *space.cover(space.combinations(3, among), rows)])


def point_of(row: Row) -> Point:
    """Return the point of a row of an array."""
    return Point.of(
        {dimension.name: dimension.values[value].name for dimension, value in zip(DIMENSIONS, row, strict=True)}
    )


def _scenarios(rows: Iterable[Row]) -> tuple[Scenario, ...]:
    points = [point_of(row) for row in rows]
    return tuple(Scenario(point.name, point.hazard, point.build, memory=point["memory"]) for point in points)
