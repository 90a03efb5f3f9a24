# SPDX-License-Identifier: GPL-2.0-only
"""The outcome of searching scenarios under designs, and the JSON of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pfncache.check.verdict import Verdict
from pfncache.verify.trace import Trace

SCHEMA = 1
"""Version of the JSON document."""
ORDER = tuple(Verdict)
"""Verdicts, from the best to the worst."""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A property that an interleaving violates."""

    property: str
    """Its name, see ``pfncache list properties``."""
    reason: str
    """Why the end of the trace is a violation, with values."""
    trace: Trace | None = None
    """The interleaving; None for what no single interleaving shows, as a cycle in the order of locks."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one scenario under one design."""

    scenario: str
    verdict: Verdict
    violations: tuple[Violation, ...] = ()
    """The violations that were found: one, or none."""
    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    bounds: str = ""
    """What was searched: the actors with their operations, and the size of memory."""
    limit: str = ""
    """What ended a bounded search, or why there was none."""

    @classmethod
    def bounded(cls, scenario: str, *, reason: str) -> Outcome:
        """Return the outcome of a search that did not take place."""
        return cls(scenario=scenario, verdict=Verdict.BOUNDED, limit=reason)

    @classmethod
    def not_applicable(cls, scenario: str, *, reason: str) -> Outcome:
        """Return the outcome of a scenario that was asked for and that the design's kernel cannot run."""
        return cls(scenario=scenario, verdict=Verdict.NOT_APPLICABLE, limit=reason)

    @classmethod
    def lost(cls, scenario: str, *, reason: str) -> Outcome:
        """Return the outcome of a scenario whose worker process died, and died again when it was repeated."""
        return cls(scenario=scenario, verdict=Verdict.LOST, limit=reason)

    @property
    def trace(self) -> Trace | None:
        """The trace of the first violation."""
        return self.violations[0].trace if self.violations else None

    @property
    def reason(self) -> str:
        """The reason of the first violation, or what ended a bounded search."""
        return self.violations[0].reason if self.violations else self.limit

    @property
    def property(self) -> str | None:
        """The property of the first violation."""
        return self.violations[0].property if self.violations else None

    def as_json(self) -> dict[str, Any]:
        """Return the scenario as the JSON schema has it."""
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


@dataclass(kw_only=True)
class DesignOutcome:
    """The outcomes of the scenarios that were searched under one design."""

    design: str
    title: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of any scenario."""
        return max((o.verdict for o in self.outcomes), key=ORDER.index, default=Verdict.HOLDS)

    @property
    def broken(self) -> list[str]:
        """The properties that are violated, each once, in the order in which they were met."""
        return list(dict.fromkeys(v.property for o in self.outcomes for v in o.violations))

    def shortest(self) -> list[Outcome]:
        """Return, for each violated property, the outcome with the shortest trace."""
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
        self.outcomes = [known.get(name) or Outcome.bounded(name, reason=reason) for name in scenarios]

    def as_json(self) -> dict[str, Any]:
        """Return the design as the JSON schema has it."""
        return {"design": self.design, "verdict": self.verdict, "scenarios": [o.as_json() for o in self.outcomes]}


def _length(outcome: Outcome) -> int:
    return len(outcome.trace.rows) if outcome.trace is not None else 0


def document(designs: list[DesignOutcome]) -> dict[str, Any]:
    """Return the whole run as one JSON document."""
    return {"schema": SCHEMA, "designs": [d.as_json() for d in designs]}
