# SPDX-License-Identifier: GPL-2.0-only
"""Locates a fault among the dimensions: what the points that show it have in common, and the other points have not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

MOST_CHANCE = 0.01
"""A condition is shown if as many points, drawn from the others, would all meet it with this probability at most; that
of one point is estimated by the rule of succession."""
POINTS_A_VALUE = 2
"""A condition is shown if it has a value for so many points at least: some points have always some values."""
MOST_VALUES = 4
"""Values of a condition that is shown."""
MOST_CONDITIONS = 4
"""Conditions of a dimension that are shown, those first that the fewest others meet."""

Values = Mapping[str, str]
"""The name of a value, by dimension."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Some values of a dimension, one of which every point has that shows the fault."""

    dimension: str
    values: tuple[str, ...]
    others: int
    """The number of points that have one of them and do not show the fault."""

    def meets(self, point: Values) -> bool:
        """Return whether a point has one of the values."""
        return point[self.dimension] in self.values

    def __str__(self) -> str:
        return f"{self.dimension}={'|'.join(self.values)}"


@dataclass(frozen=True, kw_only=True)
class Located:
    """What the points that show a fault have in common."""

    points: int
    """The number of points that show it."""
    others: int
    """The number of points that were searched to their end and do not."""
    only: tuple[Condition, ...]
    """What every point has that shows it, as few others have."""
    exact: tuple[Condition, ...]
    """One or two conditions that every point meets that shows it, and no other one; empty if there are none."""

    def __str__(self) -> str:
        where = f"in {self.points:,} point{'s' * (self.points != 1)}"
        others = f"{self.others:,} other{'s' * (self.others != 1)}"
        if self.exact:
            return f"{where}, exactly with {' and '.join(map(str, self.exact))} ({others})"
        if self.only:
            shown = ", ".join(f"{one} ({one.others:,} of {self.others:,} others)" for one in self.only)
            return f"{where}, only with {shown}"
        return f"{where}, which have no rare value in common ({others})"


def locate(showing: Sequence[Values], others: Sequence[Values]) -> Located:
    """Return what the points that show a fault have in common. There must be one that does."""
    possible: list[Condition] = []
    for dimension in showing[0]:
        seen = {point[dimension] for point in showing}
        if len(seen) > min(MOST_VALUES, len(showing) / POINTS_A_VALUE) or {p[dimension] for p in others} <= seen:
            continue
        values = tuple(sorted(seen))
        count = sum(point[dimension] in seen for point in others)
        possible.append(Condition(dimension=dimension, values=values, others=count))
    possible.sort(key=lambda one: one.others)
    rare = [one for one in possible if ((one.others + 1) / (len(others) + 2)) ** len(showing) <= MOST_CHANCE]
    return Located(
        points=len(showing), others=len(others), only=tuple(rare[:MOST_CONDITIONS]), exact=_exact(rare, others)
    )


def _exact(conditions: Sequence[Condition], others: Sequence[Values]) -> tuple[Condition, ...]:
    """Return the first condition, or two of them, that no other point meets."""
    for count in (1, 2):
        for some in combinations(conditions, count):
            if not any(all(one.meets(point) for one in some) for point in others):
                return some
    return ()
