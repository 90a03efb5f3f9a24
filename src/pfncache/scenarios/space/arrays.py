# SPDX-License-Identifier: GPL-2.0-only
"""Arrays of scenarios that cover the space."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping

from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.constraints import CONSTRAINTS, SHARED_PAGE
from pfncache.scenarios.space.covering import Combination, Factors, Row
from pfncache.scenarios.space.dimension import Constraint
from pfncache.scenarios.space.names import scenario_of
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.space import BY_NAME, DIMENSIONS

TRIPLES = (
    ("memory", "memslots", "start"),
    ("user", "memslots", "position"),
    ("operation", "memslots", "position"),
)
"""Dimensions of which the covering array has every combination of three: what goes wrong with two memslots of one user
address depends on who looks which of them up, and when."""
FOCUS: tuple[tuple[Mapping[str, Collection[str]], tuple[str, ...]], ...] = (
    ({"user": ("guest",), "memslots": SHARED_PAGE}, ("memory", "position", "start")),
    ({"user": ("clock", "shared-info"), "memslots": SHARED_PAGE, "start": ("elsewhere",)}, ("memory",)),
)
"""Values, and dimensions of which the covering array has every combination with them: two gfns have one user page."""
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
def covering() -> tuple[Scenario, ...]:
    """Return scenarios in which each pair of values of two dimensions occurs, and each combination of TRIPLES."""
    return _scenarios(_covering())


@functools.cache
def thorough() -> tuple[Scenario, ...]:
    """Return those of covering(), and more, in which each combination of three values of THOROUGH occurs too."""
    rows = _covering()
    return _scenarios([*rows, *factors().cover(factors().combinations(3, _numbers(THOROUGH)), rows)])


def _covering() -> list[Row]:
    space = factors()
    triples = [one for names in TRIPLES for one in space.combinations(3, _numbers(names))]
    focus = [one for values, names in FOCUS for one in _focus(space, values, names)]
    return space.cover([*focus, *triples, *space.combinations(2)])


def _focus(space: Factors, values: Mapping[str, Collection[str]], names: tuple[str, ...]) -> list[Combination]:
    """Return the combinations of these values with all of some dimensions."""
    wanted = {_numbers((name,))[0]: [BY_NAME[name].names.index(one) for one in some] for name, some in values.items()}
    among = _numbers((*values, *names))
    return [
        (factors, row)
        for factors, row in space.combinations(len(among), among)
        if all(value in wanted.get(factor, (value,)) for factor, value in zip(factors, row, strict=True))
    ]


def _numbers(names: tuple[str, ...]) -> list[int]:
    return [number for number, dimension in enumerate(DIMENSIONS) if dimension.name in names]


def point_of(row: Row) -> Point:
    """Return the point of a row of an array."""
    return Point.of({one.name: one.names[value] for one, value in zip(DIMENSIONS, row, strict=True)})


def _scenarios(rows: Iterable[Row]) -> tuple[Scenario, ...]:
    return tuple(scenario_of(point_of(row)) for row in rows)
