# SPDX-License-Identifier: GPL-2.0-only
"""What part of a space of scenarios was searched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SpaceCoverage:
    """What part of a space was searched."""

    points: int
    of_points: int
    """All that the constraints allow."""
    pairs: int
    of_pairs: int
    """Pairs of values of two dimensions that some point has."""

    def __str__(self) -> str:
        what = f"{self.points:,} of {self.of_points:,} points"
        if self.pairs == self.of_pairs:
            return f"{what}, with all {self.of_pairs:,} pairs of values of two dimensions"
        return f"{what}, with {self.pairs:,} of {self.of_pairs:,} pairs of values of two dimensions"
