# SPDX-License-Identifier: GPL-2.0-only
"""Points that are smaller than a point: fewer memslots, pages, tasks and repetitions, and what is usual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from pfncache.scenarios.space.point import Point

LAST = ("memory", "user", "operation")
"""Dimensions of which no value is smaller than another, in which only the usual value is tried, and last."""


def smaller(point: Point) -> Iterator[Point]:
    """Yield the points with a smaller value in one dimension, then those with the usual one in two."""
    changed = [d.name for d in point.space.dimensions if d.name in dict(point.chosen) and d.default in d.values]
    changed.sort(key=lambda name: name in LAST)
    for name in changed:
        values = point.space.by_name[name].names
        for value in values[:1] if name in LAST else values[: values.index(point[name])]:
            yield from _changed(point, {name: value})
    for pair in combinations(changed, 2):
        yield from _changed(point, {name: point.space.by_name[name].default.name for name in pair})


def _changed(point: Point, changes: Mapping[str, str]) -> Iterator[Point]:
    """Yield the point with these values, unless the constraints do not allow it."""
    other = Point.of({**point.values, **changes}, point.space)
    if other.broken is None:
        yield other
