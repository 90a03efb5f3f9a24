# SPDX-License-Identifier: GPL-2.0-only
"""The outcomes of a design, beside those of its base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pfncache.check.verdict import Verdict
from pfncache.scenarios.space.coverage import SpaceCoverage
from pfncache.scenarios.space.locate import Located, Values, locate
from pfncache.series.change import SourceChange
from pfncache.verify.comparison import Comparison
from pfncache.verify.coverage import Coverage
from pfncache.verify.minimised import Minimised
from pfncache.verify.outcome import Outcome, Violation


class DesignVerdict(StrEnum):
    """The verdict on a design, in the order from the best to the worst."""

    HOLDS = "holds"
    """Everything was searched to its end, and nothing is violated that the base does not violate."""
    INCOMPLETE = "incomplete"
    """Nothing of the kind is violated, but not everything was searched to its end."""
    VIOLATED = "violated"


@dataclass(kw_only=True)
class DesignOutcome:
    """The outcomes of the scenarios that were searched under one design."""

    design: str
    title: str
    patches: tuple[str, ...] = ()
    """Subjects of the patches on top of the base."""
    outcomes: list[Outcome] = field(default_factory=list)
    base: str | None = None
    """The design with which this one is compared; None if its verdict is absolute."""
    base_outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """Those of the base, by scenario."""
    base_functions: frozenset[str] = frozenset()
    """The functions of the base's kernel."""
    coverage: Coverage | None = None
    """The lines of the design's functions that were reached, if that was asked for."""
    changes: tuple[SourceChange, ...] | None = None
    """Of a series in C: what it changes, and what of that was checked; None for a design in Python."""
    space: SpaceCoverage | None = None
    """What part of the space of scenarios was searched to its end; None if no scenario is of the space."""
    points: Mapping[str, Values] = field(default_factory=dict)
    """Of the scenarios that are of the space: the name of the value in each dimension."""
    minimised: tuple[Minimised, ...] | None = None
    """For each property with new violations, the smallest world that shows one; None if that was not asked for."""
    unaffected: frozenset[str] = frozenset()
    """Of a series in C: the scenarios that run no function which it changes; they have the base's outcome."""

    @property
    def verdict(self) -> DesignVerdict:
        """Violated if anything is that the base does not violate; holds only if every search was complete.

        Nor does a series hold with a change that no search has seen.
        """
        if any(c.new for c in self.comparisons):
            return DesignVerdict.VIOLATED
        if not self.outcomes or self.incomplete or self.count(Verdict.VACUOUS) or self.unseen:
            return DesignVerdict.INCOMPLETE
        return DesignVerdict.HOLDS

    @property
    def unseen(self) -> list[SourceChange]:
        """Changes of the series that the model has and that no search has seen."""
        return [change for change in self.changes or () if not change.is_complete]

    @property
    def comparisons(self) -> list[Comparison]:
        """Each outcome beside the base's; without a base, every violation is new."""
        return [Comparison.of(o, self.base_outcomes.get(o.scenario), self.base_functions) for o in self.outcomes]

    @property
    def broken(self) -> Counter[str]:
        """The properties with new violations, in the order in which they were met, and in how many scenarios."""
        return Counter(p for c in self.comparisons for p in dict.fromkeys(v.property for v in c.new))

    @property
    def incomplete(self) -> int:
        """The number of scenarios that were not searched to their end, be it that a violation was found."""
        return sum(not o.is_complete for o in self.outcomes)

    @property
    def located(self) -> dict[str, Located]:
        """What the points of the space have in common that have new violations of a property, by property."""
        found: dict[str, Located] = {}
        some = [c for c in self.comparisons if c.outcome.scenario in self.points]
        for name in self.broken:
            showing = [c.outcome.scenario for c in some if any(v.property == name for v in c.new)]
            others = [c.outcome.scenario for c in some if c.outcome.is_complete and name not in c.outcome.properties]
            if showing:
                found[name] = locate([self.points[s] for s in showing], [self.points[s] for s in others])
        return found

    def count(self, *verdicts: Verdict) -> int:
        """Return the number of scenarios with one of these verdicts."""
        return sum(o.verdict in verdicts for o in self.outcomes)

    def shortest(self) -> list[tuple[str, Violation]]:
        """Return, for each property with new violations, the one with the shortest trace, and its scenario."""
        best: dict[str, tuple[str, Violation]] = {}
        for comparison in self.comparisons:
            for violation in comparison.new:
                known = best.get(violation.property)
                if known is None or _length(violation) < _length(known[1]):
                    best[violation.property] = comparison.outcome.scenario, violation
        return list(best.values())


def _length(violation: Violation) -> int:
    return len(violation.trace.rows) if violation.trace is not None else 0
