# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios by name: hand-chosen ones, those of every operation and every pair, and an array that covers the space."""

from __future__ import annotations

from pfncache.scenarios.catalogue import catalogue
from pfncache.scenarios.generated import absent, pairs, singles
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.arrays import covering

DEFAULT_SCENARIOS: dict[str, Scenario] = {s.name: s for s in (*catalogue(), *singles(), *absent())}
"""The scenarios that `pfncache verify` searches by default."""

COVERING_SCENARIOS: dict[str, Scenario] = {s.name: s for s in covering()}
"""Scenarios of the space: each pair of values of two dimensions occurs in one that constraints allow."""

SCENARIOS: dict[str, Scenario] = DEFAULT_SCENARIOS | {s.name: s for s in pairs()} | COVERING_SCENARIOS
"""Every scenario that has a name of its own; any other of the space can be named too."""

__all__ = ["COVERING_SCENARIOS", "DEFAULT_SCENARIOS", "SCENARIOS", "Scenario"]
