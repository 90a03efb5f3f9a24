# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios by name: hand-chosen ones, those of every operation and every pair, and an array that covers the space."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

from pfncache.scenarios.catalogue import catalogue
from pfncache.scenarios.generated import absent, pairs, singles
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.arrays import covering
from pfncache.scenarios.space.point import ROOM

DEFAULT_SCENARIOS: dict[str, Scenario] = {s.name: s for s in (*catalogue(), *singles(), *absent())}
"""The scenarios that `pfncache verify` searches by default."""


class _Scenarios(Mapping[str, Scenario]):
    """Every scenario that has a name of its own. The covering array is made when one of its names is looked up."""

    _named = DEFAULT_SCENARIOS | {s.name: s for s in pairs()}

    @functools.cached_property
    def _covering(self) -> dict[str, Scenario]:
        return {s.name: s for s in covering()}

    def _home(self, name: object) -> dict[str, Scenario]:
        return self._covering if isinstance(name, str) and name.startswith(f"{ROOM}/") else self._named

    def __getitem__(self, name: str) -> Scenario:
        return self._home(name)[name]

    def __contains__(self, name: object) -> bool:
        return name in self._home(name)

    def __iter__(self) -> Iterator[str]:
        yield from self._named
        yield from self._covering

    def __len__(self) -> int:
        return len(self._named) + len(self._covering)

    def starting_with(self, prefix: str, array: Iterable[str] | None = None) -> list[str]:
        """Return the names that begin so; those of another array may stand in the place of the covering one's."""
        if array is None:
            array = self._covering if prefix.startswith(ROOM) or ROOM.startswith(prefix) else ()
        return [name for names in (self._named, array) for name in names if name.startswith(prefix)]


SCENARIOS = _Scenarios()
"""Every scenario that has a name of its own; any other of the space can be named too."""

__all__ = ["DEFAULT_SCENARIOS", "SCENARIOS", "Scenario"]
