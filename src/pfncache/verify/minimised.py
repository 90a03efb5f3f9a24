# SPDX-License-Identifier: GPL-2.0-only
"""A violation in the smallest world that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pfncache.scenarios.scenario import Scenario
from pfncache.verify.outcome import Outcome, Violation


@dataclass(frozen=True, kw_only=True)
class Minimised:
    """A violation in the smallest world that was found to show it."""

    found_in: str
    """The scenario in which it was found."""
    scenario: str
    """The one in which it is shown now."""
    needed: Mapping[str, str]
    """Of a scenario of the space: the dimensions in which it is not as usual, with the values."""
    left_out: tuple[str, ...]
    """What actors of this scenario do not do for the violation."""
    violation: Violation
    outcome: Outcome
    """That of the search which found the violation there."""
    searches: int
    """The number of smaller worlds that were searched."""

    world: Scenario
    """That scenario as it is shown, with what its actors do not do; for a replay."""

    @property
    def note(self) -> str:
        """How the scenario came to be, in a line."""
        which = f"from {self.found_in}" if self.found_in != self.scenario else "as it was found"
        worlds = f"{self.searches} smaller world{'s' * (self.searches != 1)} searched"
        return "; ".join((f"minimised, {which}", worlds, *self.left_out))
