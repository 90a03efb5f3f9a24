# SPDX-License-Identifier: GPL-2.0-only
"""What was found for a design and a scenario; the JSON of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pfncache.verify.trace import Trace

SCHEMA = 1
ORDER = ("holds", "bounded", "violated")


@dataclass
class Outcome:
    """One scenario under one design."""

    scenario: str
    verdict: str
    property: str | None
    states: int
    transitions: int
    seconds: float
    bounds: str
    trace: Trace | None = None
    reason: str = ""
    """Of a violation: what happened. Of a bounded search: what stopped it."""

    def as_json(self) -> dict[str, Any]:
        """The scenario as the JSON schema has it."""
        return {
            "scenario": self.scenario,
            "verdict": self.verdict,
            "property": self.property,
            "states": self.states,
            "transitions": self.transitions,
            "seconds": round(self.seconds, 3),
            "bounds": self.bounds,
            "reason": self.reason,
            "trace": [row.as_json() for row in self.trace.rows] if self.trace is not None else [],
            "loop": self.trace.loop if self.trace is not None else None,
        }


@dataclass
class DesignOutcome:
    """Every scenario under one design."""

    design: str
    title: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """Violated when any scenario is, else bounded when any is, else holds."""
        return max((o.verdict for o in self.outcomes), key=ORDER.index, default="holds")

    @property
    def broken(self) -> list[str]:
        """The properties that are violated, each once, in the order in which they were met."""
        return list(dict.fromkeys(o.property for o in self.outcomes if o.property is not None))

    def shortest(self) -> list[Outcome]:
        """For each violated property, the violation with the fewest steps."""
        best: dict[str, Outcome] = {}
        for outcome in self.outcomes:
            if outcome.property is None:
                continue
            known = best.get(outcome.property)
            if known is None or _length(outcome) < _length(known):
                best[outcome.property] = outcome
        return list(best.values())

    def complete(self, scenarios: list[str], reason: str) -> None:
        """Put the outcomes into the order of `scenarios`; one that was never searched is bounded for `reason`."""
        known = {o.scenario: o for o in self.outcomes}
        self.outcomes = [
            known.get(name) or Outcome(name, "bounded", None, 0, 0, 0.0, "", reason=reason) for name in scenarios
        ]

    def as_json(self) -> dict[str, Any]:
        """The design as the JSON schema has it."""
        return {"design": self.design, "verdict": self.verdict, "scenarios": [o.as_json() for o in self.outcomes]}


def _length(outcome: Outcome) -> int:
    return len(outcome.trace.rows) if outcome.trace is not None else 0


def document(designs: list[DesignOutcome]) -> dict[str, Any]:
    """The whole run as one JSON document."""
    return {"schema": SCHEMA, "designs": [d.as_json() for d in designs]}
