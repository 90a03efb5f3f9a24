# SPDX-License-Identifier: GPL-2.0-only
"""Arrays of scenarios that cover the space."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.constraints import CONSTRAINTS
from pfncache.scenarios.space.covering import Factors, Row
from pfncache.scenarios.space.dimension import Constraint
from pfncache.scenarios.space.names import scenario_of
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.space import BY_NAME, DIMENSIONS

THOROUGH = ("user", "memory", "operation", "start")
"""Dimensions of which the thorough array has every combination of three."""


@functools.cache
def factors() -> Factors:
    """Return the dimensions as factors of a covering array, with the constraints as its rules."""
    names = [dimension.name for dimension in DIMENSIONS]
    return Factors(
        [len(dimension.values) for dimension in DIMENSIONS],
        [(tuple(names.index(name) for name in rule.dimensions), _by_number(rule)) for rule in CONSTRAINTS],
    )


def _by_number(rule: Constraint) -> Callable[..., bool]:
    """Return the constraint on the numbers of values."""
    values = [BY_NAME[name].names for name in rule.dimensions]
    return lambda *row: rule.allows(*(names[value] for names, value in zip(values, row, strict=True)))


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
    return Point.of({one.name: one.names[value] for one, value in zip(DIMENSIONS, row, strict=True)})


def _scenarios(rows: Iterable[Row]) -> tuple[Scenario, ...]:
    return tuple(scenario_of(point_of(row)) for row in rows)
