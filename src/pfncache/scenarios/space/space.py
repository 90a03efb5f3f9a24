# SPDX-License-Identifier: GPL-2.0-only
"""The space of scenarios: its dimensions, in the order in which they are shown, and the constraints between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from pfncache.scenarios.space.constraints import CONSTRAINTS
from pfncache.scenarios.space.context import CONTEXT, ROUNDS, UPDATES
from pfncache.scenarios.space.dimension import Constraint, Dimension, Value
from pfncache.scenarios.space.memory import MEMORY
from pfncache.scenarios.space.memslots import BINDING, FLAGS, MEMSLOTS, PAGES, PLACE, POSITION
from pfncache.scenarios.space.operation import OPERATION
from pfncache.scenarios.space.start import START
from pfncache.scenarios.space.user import USER

DIMENSIONS: tuple[Dimension[Value], ...] = (
    MEMORY, USER, OPERATION, MEMSLOTS, POSITION, PAGES, PLACE, FLAGS, BINDING, START, CONTEXT, UPDATES, ROUNDS,
)  # type: ignore[assignment] # fmt: skip
"""Every dimension of the catalogue's space."""


class Space:
    """The catalogue's space of scenarios, narrowed or extended."""

    def __init__(
        self,
        only: Mapping[str, Collection[str]] | None = None,
        more: Mapping[str, Sequence[Value]] | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        """Make a space, by default the catalogue's.

        `only` has, by dimension, the names of the values that are left of the catalogue's. `more` has, by dimension,
        the values that are added to them: a `User`, an `Operation`, or what else the dimension has. `constraints` are
        kept beside those of the catalogue. Raises ValueError for what does not exist.
        """
        only, more = only or {}, more or {}
        known = {dimension.name for dimension in DIMENSIONS}
        for name in (*only, *more):
            if name not in known:
                raise ValueError(f"the space has no dimension {name!r}; it has {', '.join(d.name for d in DIMENSIONS)}")
        self.dimensions = tuple(_changed(one, only.get(one.name), more.get(one.name, ())) for one in DIMENSIONS)
        self.by_name = {dimension.name: dimension for dimension in self.dimensions}
        self.constraints = (*CONSTRAINTS, *constraints)
        for rule in constraints:
            for name in rule.dimensions:
                if name not in known:
                    raise ValueError(f"a constraint names {name!r}, which is no dimension of the space")


def _changed(dimension: Dimension[Value], only: Collection[str] | None, more: Sequence[Value]) -> Dimension[Value]:
    """Return a dimension with some of its values, and more."""
    for name in only or ():
        if name not in dimension.names:
            raise ValueError(f"{dimension.name} has no value {name!r}; it has {', '.join(dimension.names)}")
    for value in more:
        if type(value) is not type(dimension.default):
            raise ValueError(f"values of {dimension.name} are of {type(dimension.default).__name__}: {value!r:.40}")
        if value.name in dimension.names:
            raise ValueError(f"{dimension.name} has a value {value.name!r} already")
        if not value.name or set(value.name) & set("/+,= "):
            raise ValueError(f"the name of a value has no / + , = or blank: {value.name!r}")
    kept = dimension.values if only is None else tuple(v for v in dimension.values if v.name in only)
    if not (*kept, *more):
        raise ValueError(f"no value is left of {dimension.name}")
    return replace(dimension, values=(*kept, *more), usual=dimension.default)


SPACE = Space()
"""The catalogue's."""
