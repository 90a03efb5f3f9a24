# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios by name: hand-chosen ones, and generated ones for every operation and every pair of them."""

from __future__ import annotations

from pfncache.scenarios.catalogue import catalogue
from pfncache.scenarios.generated import absent, pairs, singles
from pfncache.scenarios.scenario import Scenario

DEFAULT_SCENARIOS: dict[str, Scenario] = {s.name: s for s in (*catalogue(), *singles(), *absent())}
"""The scenarios that `pfncache verify` searches by default."""

SCENARIOS: dict[str, Scenario] = DEFAULT_SCENARIOS | {s.name: s for s in pairs()}
"""Every scenario."""

__all__ = ["DEFAULT_SCENARIOS", "SCENARIOS", "Scenario"]
