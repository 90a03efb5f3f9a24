# SPDX-License-Identifier: GPL-2.0-only
"""One run of the checker: several scenarios under several designs, and what was found until it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pfncache.check.verdict import Verdict
from pfncache.designs.design import Design
from pfncache.scenarios.scenario import Scenario
from pfncache.verify import MAX_STATES
from pfncache.verify.outcome import DesignOutcome
from pfncache.verify.runner import Job, run_jobs
from pfncache.verify.selection import searched

NOT_SEARCHED = "interrupted before it was searched"


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search."""

    max_states: int = MAX_STATES
    """Distinct states of a scenario after which its search is bounded."""
    reduction: bool = True
    """False: expand every actor in every state."""
    processes: int | None = None
    """Worker processes; None for one a core."""


@dataclass(kw_only=True)
class Session:
    """The designs that are searched, the jobs, and the outcomes as far as they are known."""

    designs: Sequence[Design]
    jobs: list[Job]
    options: SearchOptions
    outcomes: list[DesignOutcome] = field(default_factory=list)
    interrupted: bool = False

    @classmethod
    def plan(
        cls, designs: Sequence[Design], scenarios: Sequence[Scenario], *, by_name: bool, options: SearchOptions
    ) -> Session:
        """Return the session that searches each scenario under each design that it applies to.

        `by_name`: the scenarios were asked for, so that they are searched under designs of a known fault too.
        """
        jobs = [
            Job(design, scenario, options.max_states, options.reduction)
            for design in designs
            for scenario in scenarios
            if searched(design, scenario, by_name)
        ]
        return cls(designs=designs, jobs=jobs, options=options)

    @property
    def is_violated(self) -> bool:
        """True if a property is violated in any scenario."""
        return any(design.verdict == Verdict.VIOLATED for design in self.outcomes)

    def run(self, on_done: Callable[[Job], None] = lambda job: None) -> None:
        """Search. Ctrl-C ends the run; what was not searched is bounded. Raises CompileError."""
        self.outcomes = [DesignOutcome(design=d.name, title=d.title) for d in self.designs]
        by_design = {id(d): o for d, o in zip(self.designs, self.outcomes, strict=True)}
        try:
            for job, outcome in run_jobs(self.jobs, self.options.processes):
                by_design[id(job.design)].outcomes.append(outcome)
                on_done(job)
        except KeyboardInterrupt:
            self.interrupted = True
        for design, whole in zip(self.designs, self.outcomes, strict=True):
            whole.complete([j.scenario_name for j in self.jobs if j.design is design], NOT_SEARCHED)
