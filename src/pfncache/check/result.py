# SPDX-License-Identifier: GPL-2.0-only
"""The result of a search: the verdict, and every violation with a path to it."""

from __future__ import annotations

import builtins
from dataclasses import dataclass

from pfncache.check.compile.source import Location
from pfncache.check.ir import Failure
from pfncache.check.path import Choice
from pfncache.check.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Found:
    """A violation of a property, on a path on which nothing else was violated before."""

    property: str
    path: tuple[Choice, ...] = ()
    """The steps to it; the last one violates, if a step does."""
    is_shown: bool = True
    """Whether its path shows it; no path shows an order of locks."""
    failure: Failure | None = None
    point: tuple[Location, ...] = ()
    """Of a step that violates: the call stack of its last preemption point, innermost last."""
    loop: int | None = None
    """Of a livelock: the index in the path of the step with which its loop begins."""
    start: int | None = None
    """Of an actor that violates before its first preemption point: its number."""
    detail: str = ""
    """The reason, unless the replay of the path gives it."""
    place: object = ""
    """What tells it from other violations of the property: who violates it where, a failure of the end check, or a
    reason."""

    @builtins.property
    def key(self) -> tuple[str, object]:
        """What two searches of a program call the same violation."""
        return self.property, self.place

    @builtins.property
    def length(self) -> float:
        """Steps of the path; more than any if none shows it."""
        return len(self.path) if self.is_shown else float("inf")


@dataclass(kw_only=True)
class SearchResult:
    """The verdict of a search, and what it found."""

    verdict: Verdict
    found: tuple[Found, ...] = ()
    """Every violation, those with the shortest paths first."""
    states: int = 1
    transitions: int = 0
    seconds: float = 0.0
    reason: str = ""
    """Why the search is bounded, be it that it found violations, too."""
    bytes_per_state: float = 0.0

    @builtins.property
    def property(self) -> str | None:
        """The property of the violation with the shortest path."""
        return self.found[0].property if self.found else None

    @builtins.property
    def properties(self) -> tuple[str, ...]:
        """The violated properties, each once, in the order of `found`."""
        return tuple(dict.fromkeys(one.property for one in self.found))


def ordered(found: list[Found]) -> tuple[Found, ...]:
    """Return the shortest violation of each key, in the order of their lengths."""
    best: dict[tuple[str, object], Found] = {}
    for one in found:
        if one.key not in best or one.length < best[one.key].length:
            best[one.key] = one
    return tuple(sorted(best.values(), key=lambda one: one.length))
