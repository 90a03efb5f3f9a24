# SPDX-License-Identifier: GPL-2.0-only
"""Minimises a violation: finds the smallest world that still shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pfncache.designs.design import Design
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.shorter import operations_of, shorter
from pfncache.scenarios.space.names import SpaceScenario, scenario_of
from pfncache.scenarios.space.smaller import smaller
from pfncache.scenarios.world import SETUP
from pfncache.verify.base import functions_of
from pfncache.verify.comparison import Comparison
from pfncache.verify.job import Job
from pfncache.verify.minimised import Minimised
from pfncache.verify.outcome import AT_REST, OF_SEVERAL_PLACES, Outcome, Violation
from pfncache.verify.runner import run
from pfncache.verify.systems import make_system


@dataclass(kw_only=True)
class Minimiser:
    """Makes the world of a violation smaller as long as the design, and not its base, shows the violation.

    The result has no world below it that differs in one value or in two usual ones; one that differs in more may exist.
    """

    job: Job
    """The search that has found the violation."""
    violation: Violation
    base: Design | None = None
    """The design with which that of the job is compared; None if its verdict is absolute."""
    searches: int = 0
    _known: dict[str, tuple[Violation, Outcome] | None] = field(default_factory=dict)
    """By name of a scenario of the space that was searched: what was found."""

    def run(self, on_search: Callable[[str], None] = lambda name: None) -> Minimised:
        """Search smaller worlds until none shows the violation. Raises CompileError."""
        job = self.job
        scenario = SCENARIOS[job.scenario] if isinstance(job.scenario, str) else job.scenario
        shown = self._shown(scenario)
        if shown is None:
            raise ValueError(f"{job.design.name} does not violate {self.violation.property} in {scenario.name}")
        smallest: Scenario = scenario
        while isinstance(smallest, SpaceScenario):
            for point in smaller(smallest.point):
                on_search(point.name)
                found = self._shown(scenario_of(point))
                if found is not None:
                    smallest, shown = scenario_of(point), found
                    break
            else:
                break
        world = smallest
        system = make_system(job.design, smallest)
        whole = operations_of(system)
        kept = whole
        while not self._depends_on_the_end and SETUP not in whole:
            for cut, operations in shorter(smallest, system, kept):
                on_search(cut.name)
                self.searches += 1
                found = self._search(cut)
                if found is not None:
                    kept, shown, world = operations, found, cut
                    break
            else:
                break
        return Minimised(
            found_in=scenario.name,
            scenario=smallest.name,
            needed=dict(smallest.point.chosen) if isinstance(smallest, SpaceScenario) else {},
            left_out=tuple(_left_out(name, kept[name], count) for name, count in whole.items() if kept[name] < count),
            violation=shown[0],
            outcome=shown[1],
            searches=self.searches,
            world=world,
        )

    @property
    def _depends_on_the_end(self) -> bool:
        """Whether the violation may be due to what an actor has left undone: it waits, or something is not released."""
        return self.violation.property in OF_SEVERAL_PLACES or AT_REST in self.violation.reason

    def _shown(self, scenario: Scenario) -> tuple[Violation, Outcome] | None:
        """Return the violation in another scenario, and the outcome; None if the scenario does not show it."""
        if scenario.name not in self._known:
            self.searches += bool(self._known)
            self._known[scenario.name] = self._search(scenario)
        return self._known[scenario.name]

    def _search(self, scenario: Scenario) -> tuple[Violation, Outcome] | None:
        if not self.job.design.has(scenario.memory):
            return None
        job = replace(self.job, scenario=scenario, coverage=False)
        outcome = run(job)
        base = None
        if self.base is not None and any(map(self._is_it, outcome.violations)) and self.base.has(scenario.memory):
            base = run(replace(job, design=self.base))
        functions = functions_of(self.base) if self.base is not None else frozenset[str]()
        found = next(filter(self._is_it, Comparison.of(outcome, base, functions).new), None)
        return (found, outcome) if found is not None else None

    def _is_it(self, other: Violation) -> bool:
        """Return whether a violation of another world is the same: of one property, at one place."""
        return _place(other) == _place(self.violation)


def _place(violation: Violation) -> tuple[str, ...]:
    """Return the key of a violation without the actor, which a smaller world may not have."""
    kind, *place = violation.key
    return (kind, *place[1:]) if len(place) > 1 else (kind, *place)


def _left_out(actor: str, kept: int, whole: int) -> str:
    return f"{actor} stops after {kept} of {whole} operations" if kept else f"{actor} does nothing"
