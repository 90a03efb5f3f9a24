# SPDX-License-Identifier: GPL-2.0-only
"""A job of the checker: one scenario under one design, and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.designs.design import Design
from pfncache.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Job:
    """A scenario to search under a design."""

    design: Design
    scenario: Scenario | str
    """A scenario, or the name of one in the catalogue."""
    max_states: int
    """Distinct states after which the search is bounded."""
    reduction: bool = True
    """Search a persistent set of actors where there is a smaller one."""
    threads: int = 1
    coverage: bool = False
    """Report the lines that are executed."""
    first: bool = False
    """End the search at the first violation."""
    budget: float = 0.0
    """Seconds of guided search where the search is bounded by the number of states."""
    base: Design | None = None
    """What the design is compared with: it has to reach the targets that this one reaches."""
    base_reached: frozenset[str] = frozenset()
    """Those targets, as far as they are known before."""
    elsewhere: frozenset[str] = frozenset()
    """Functions that other designs add: a scenario that calls one of them does not apply to a design without it."""
    kept: bool = False
    """Keep the outcome on disk, and take it from there if all that the search reached is the same."""

    @property
    def bounds(self) -> tuple[int, bool, bool, bool]:
        """What limits the search, and what it reports."""
        return self.max_states, self.reduction, self.first, self.coverage

    @property
    def scenario_name(self) -> str:
        """The name of the scenario."""
        return self.scenario if isinstance(self.scenario, str) else self.scenario.name
