# SPDX-License-Identifier: GPL-2.0-only
"""Finds the scenario of the space that a name stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.point import ROOM, Point
from pfncache.scenarios.space.space import SPACE, Space

FORM = re.compile(rf"{ROOM}/(?P<memory>[^/]+)/(?P<user>[^/+]+)\+(?P<operation>[^/]+)(?:/(?P<more>[^/]+))?")
EXAMPLE = "space/anon/clock+munmap/memslots=adjacent,start=page-gone"


@dataclass(frozen=True)
class SpaceScenario(Scenario):
    """A scenario of the space."""

    point: Point = field(default_factory=lambda: Point(()))


def scenario_of(point: Point) -> SpaceScenario:
    """Return the scenario of a point."""
    return SpaceScenario(point.name, point.hazard, point.build, memory=point["memory"], point=point)


def is_point(name: str) -> bool:
    """Return whether a name is that of a scenario of a space."""
    return name.startswith(f"{ROOM}/")


def values_of_name(name: str) -> dict[str, str]:
    """Return the value that a name of a scenario of a space has in each dimension, be it one of the catalogue's or not.

    Raises ValueError for another name.
    """
    found = FORM.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} names no scenario of the space; an example is {EXAMPLE}")
    usual = {dimension.name: dimension.default.name for dimension in SPACE.dimensions}
    more = dict(pair.split("=", 1) for pair in (found["more"] or "").split(",") if "=" in pair)
    return usual | {key: found[key] for key in ("memory", "user", "operation")} | more


def point_named(name: str, space: Space = SPACE) -> Point:
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
        if dimension not in space.by_name:
            raise ValueError(f"the space has no dimension {dimension!r}; it has {', '.join(space.by_name)}")
        if value not in space.by_name[dimension].names:
            known = ", ".join(space.by_name[dimension].names)
            raise ValueError(f"{dimension} has no value {value!r}; it has {known}")
    point = Point.of(chosen, space)
    if point.broken is not None:
        rule, values = point.broken
        pairs = ", ".join(f"{dimension}={value}" for dimension, value in values.items())
        raise ValueError(f"no scenario has {pairs}: {rule.reason}")
    return point
