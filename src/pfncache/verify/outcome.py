# SPDX-License-Identifier: GPL-2.0-only
"""The outcome of searching scenarios under designs."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pfncache.check.ir import SourceLine
from pfncache.check.verdict import Verdict
from pfncache.verify.reach import TargetResult, missed, vacuity
from pfncache.verify.trace import Trace

OF_SEVERAL_PLACES = frozenset({"deadlock", "livelock", "lock-order"})
"""Properties that several actors violate together: their reason has the places, the end of the trace has not."""
COMPLETE = frozenset({Verdict.HOLDS, Verdict.VIOLATED})
"""Verdicts of searches that went to their end, unless they have a limit."""
AT_REST = "when all is done"
"""In the reason of what is found after the last step, whose place depends on the interleaving."""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A property that an interleaving violates."""

    property: str
    """Its name, see ``pfncache list properties``."""
    reason: str
    """Why the end of the trace is a violation, with values."""
    trace: Trace | None = None
    """The interleaving; None for what no single interleaving shows, as a cycle in the order of locks."""
    calls: tuple[tuple[str, str], ...] = ()
    """Function and line of each call on the stack, outermost first, at the last preemption point; then of those that
    lead from there to the line that violates the property."""

    is_walk: bool = False
    """Whether a random walk has found it, whose path is no shortest one."""

    @builtins.property
    def place(self) -> str:
        """Where the property is violated: function and file:line, or the reason where there is no such place."""
        row = self.trace.rows[-1] if self._has_place and self.trace is not None else None
        return f"{row.function}() {row.source}" if row is not None else self.reason

    @builtins.property
    def key(self) -> tuple[str, ...]:
        """What violations have in common that may be the same under different designs: who violates what, and where.

        The line of the model stands for its number: a patch above it does not make it another.
        """
        row = self.trace.rows[-1] if self._has_place and self.trace is not None else None
        return (self.property, row.actor, row.function, row.text) if row is not None else (self.property, self.reason)

    @builtins.property
    def identity(self) -> tuple[object, ...]:
        """What tells the violation from each other one of the same search: its key, and how the code got there."""
        return self.key, self.calls if self._has_place else ()

    @builtins.property
    def functions(self) -> tuple[str, ...]:
        """The functions of the calls."""
        return tuple(function for function, _ in self.calls)

    @builtins.property
    def _has_place(self) -> bool:
        several = self.property in OF_SEVERAL_PLACES or AT_REST in self.reason
        return self.trace is not None and bool(self.trace.rows) and not several


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one scenario under one design."""

    scenario: str
    verdict: Verdict
    violations: tuple[Violation, ...] = ()
    """The violations that were found, each identity once, those with the shortest paths first."""
    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    bounds: str = ""
    """What was searched: the actors with their operations, and the size of memory."""
    limit: str = ""
    """What ended a search before it was complete, be it that it found violations, too; why there was none; or what a
    vacuous one never reached."""
    targets: tuple[TargetResult, ...] = ()
    """What was reached, and what was not; of a search that was not complete, as far as it went."""

    covered: frozenset[SourceLine] = frozenset()
    """The lines that the search has executed, if coverage is asked for."""
    used: frozenset[str] = frozenset()
    """Names of the functions that the actors may call, others among them; of a design from C also of those that the
    set-up called."""

    def judged(self, base: frozenset[str] = frozenset()) -> Outcome:
        """Return the outcome, vacuous if it would hold and a target is missed; `base` are those of the base."""
        if self.verdict not in (Verdict.HOLDS, Verdict.VACUOUS):
            return self
        names = missed(self.targets, base)
        verdict = Verdict.VACUOUS if names else Verdict.HOLDS
        return replace(self, verdict=verdict, limit=vacuity(names))

    def excused(self, reasons: Mapping[str, str]) -> Outcome:
        """Return the outcome of the same search under a design for which there are these reasons not to reach targets.

        It is the same object if the reasons are.
        """
        targets = tuple(replace(r, unreachable=reasons.get(r.target, "")) for r in self.targets)
        return replace(self, targets=targets).judged() if targets != self.targets else self

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

    @builtins.property
    def is_complete(self) -> bool:
        """Whether everything was searched, so that a violation that is not there does not exist."""
        return self.verdict == Verdict.VACUOUS or (self.verdict in COMPLETE and not self.limit)

    @builtins.property
    def properties(self) -> tuple[str, ...]:
        """The violated properties, each once."""
        return tuple(dict.fromkeys(violation.property for violation in self.violations))

    @property
    def trace(self) -> Trace | None:
        """The trace of the violation with the shortest path."""
        return self.violations[0].trace if self.violations else None

    @property
    def reason(self) -> str:
        """The reason of the violation with the shortest path, or what ended a bounded search."""
        return self.violations[0].reason if self.violations else self.limit

    @property
    def property(self) -> str | None:
        """The property of the violation with the shortest path."""
        return self.violations[0].property if self.violations else None
