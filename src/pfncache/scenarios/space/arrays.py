# SPDX-License-Identifier: GPL-2.0-only
"""Arrays of scenarios that cover a space."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping

from pfncache.scenarios.space.constraints import SHARED_PAGE
from pfncache.scenarios.space.covering import Combination, Factors, Row
from pfncache.scenarios.space.dimension import Constraint
from pfncache.scenarios.space.names import SpaceScenario, scenario_of
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.space import SPACE, Space

TRIPLES = (
    ("memory", "memslots", "start"),
    ("user", "memslots", "position"),
    ("operation", "memslots", "position"),
)
"""Dimensions of which the covering array has every combination of three: what goes wrong with two memslots of one user
address depends on who looks which of them up, and when."""
FOCUS: tuple[tuple[Mapping[str, Collection[str]], tuple[str, ...]], ...] = (
    ({"user": ("guest",), "memslots": SHARED_PAGE}, ("memory", "position", "start")),
    ({"user": ("guest",)}, ("memory", "binding")),
    ({"user": ("clock", "shared-info"), "memslots": SHARED_PAGE, "start": ("elsewhere",)}, ("memory",)),
)
"""Values, and dimensions of which the covering array has every combination with them: two gfns have one user page, or
the guest has a page of a file."""
THOROUGH = ("user", "memory", "operation", "start")
"""Dimensions of which the thorough array has every combination of three."""


SERIES_ONLY = ("gmem-ndm",)
"""Memory that mainline does not have: each pair occurs in other memory too, where it can."""


@functools.cache
def factors(space: Space = SPACE) -> Factors:
    """Return the dimensions as factors of a covering array, with the constraints as its rules."""
    return Factors(
        [len(dimension.values) for dimension in space.dimensions],
        [(_in_order(space, rule.dimensions), _by_number(space, rule)) for rule in space.constraints],
    )


def _by_number(space: Space, rule: Constraint) -> Callable[..., bool]:
    """Return the constraint on the numbers of values."""
    values = [space.by_name[name].values for name in rule.dimensions]
    return lambda *row: rule.allows(*(some[number] for some, number in zip(values, row, strict=True)))


@functools.cache
def covering(space: Space = SPACE) -> tuple[SpaceScenario, ...]:
    """Return scenarios in which each pair of values of two dimensions occurs, and each combination of TRIPLES."""
    return _scenarios(space, _covering(space))


@functools.cache
def thorough(space: Space = SPACE) -> tuple[SpaceScenario, ...]:
    """Return those of covering(), and more, in which each combination of three values of THOROUGH occurs too."""
    rows, found = _covering(space), factors(space)
    return _scenarios(space, [*rows, *found.cover(found.combinations(3, _in_order(space, THOROUGH)), rows)])


@functools.cache
def _covering(space: Space) -> list[Row]:
    every, memory = factors(space), list(space.by_name).index("memory")
    triples = [one for names in TRIPLES for one in every.combinations(3, _in_order(space, names))]
    focus = [one for values, names in FOCUS for one in _focus(space, values, names)]
    # another factor: whether every kernel has the memory
    in_all = [name not in SERIES_ONLY for name in space.by_name["memory"].names]
    last = len(every.sizes)
    marked = Factors((*every.sizes, 2), [*every.rules, ((memory, last), lambda m, mark: in_all[m] == mark)])
    pairs = every.combinations(2)
    both = [((*two, last), (*values, 1)) for two, values in pairs if memory not in two]
    wanted = [*(one for one in both if marked.has(one)), *focus, *triples, *pairs]
    return [row[:last] for row in marked.cover(wanted)]


def _focus(space: Space, values: Mapping[str, Collection[str]], names: tuple[str, ...]) -> list[Combination]:
    """Return the combinations of these values with all of some dimensions."""
    wanted = {
        _in_order(space, (name,))[0]: [
            number for number, value in enumerate(space.by_name[name].names) if value in some
        ]
        for name, some in values.items()
    }
    among = _in_order(space, (*values, *names))
    return [
        (numbers, row)
        for numbers, row in factors(space).combinations(len(among), among)
        if all(value in wanted.get(number, (value,)) for number, value in zip(numbers, row, strict=True))
    ]


def _in_order(space: Space, names: Collection[str]) -> tuple[int, ...]:
    """Return the numbers of dimensions, in the order of the names."""
    order = list(space.by_name)
    return tuple(order.index(name) for name in names)


def point_of(row: Row, space: Space = SPACE) -> Point:
    """Return the point of a row of an array."""
    return Point.of({one.name: one.names[value] for one, value in zip(space.dimensions, row, strict=True)}, space)


def row_of(point: Point, space: Space = SPACE) -> Row | None:
    """Return the row of a point in a space; None if the space lacks a value."""
    found = [(one.names, point[one.name]) for one in space.dimensions]
    return tuple(names.index(name) for names, name in found) if all(name in names for names, name in found) else None


def _scenarios(space: Space, rows: Iterable[Row]) -> tuple[SpaceScenario, ...]:
    return tuple(scenario_of(point_of(row, space)) for row in rows)
