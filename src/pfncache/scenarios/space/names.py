# SPDX-License-Identifier: GPL-2.0-only
"""Finds the scenario of the space that a name stands for."""

from __future__ import annotations

import re

from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.constraints import CONSTRAINTS
from pfncache.scenarios.space.point import ROOM, Point
from pfncache.scenarios.space.space import BY_NAME

FORM = re.compile(rf"{ROOM}/(?P<memory>[^/]+)/(?P<user>[^/+]+)\+(?P<operation>[^/]+)(?:/(?P<more>[^/]+))?")
EXAMPLE = "space/anon/clock+munmap/memslots=adjacent,start=page-gone"


def scenario_of(point: Point) -> Scenario:
    """Return the scenario of a point."""
    return Scenario(point.name, point.hazard, point.build, memory=point["memory"])


def point_named(name: str) -> Point:
    """Return the point of a name, which may leave out what is the default.

    Raises ValueError with a line that says what is wrong, and what would be right.
    """
    found = FORM.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} names no scenario of the space; an example is {EXAMPLE}")
    chosen = {key: value for key, value in found.groupdict().items() if key != "more"}
    for pair in (found["more"] or "").split(",") if found["more"] else ():
        dimension, equals, value = pair.partition("=")
        if not equals or dimension in chosen:
            raise ValueError(f"{pair!r} is no DIMENSION=VALUE of a dimension that is not named yet, as pages=2")
        chosen[dimension] = value
    for dimension, value in chosen.items():
        if dimension not in BY_NAME:
            raise ValueError(f"the space has no dimension {dimension!r}; it has {', '.join(BY_NAME)}")
        if value not in BY_NAME[dimension].names:
            raise ValueError(f"{dimension} has no value {value!r}; it has {', '.join(BY_NAME[dimension].names)}")
    point = Point.of(chosen)
    for rule in CONSTRAINTS:
        values = [point[dimension] for dimension in rule.dimensions]
        if not rule.allows(*values):
            pairs = ", ".join(f"{d}={v}" for d, v in zip(rule.dimensions, values, strict=True))
            raise ValueError(f"no scenario has {pairs}: {rule.reason}")
    return point
