# SPDX-License-Identifier: GPL-2.0-only
"""One run of the checker: several scenarios under several designs, and what was found until it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pfncache.designs.design import Design
from pfncache.interrupts import Terminated
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.coverage import SpaceCoverage
from pfncache.scenarios.space.names import SpaceScenario
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.space import SPACE, Space
from pfncache.scenarios.world import MemoryKind
from pfncache.verify import MAX_STATES
from pfncache.verify.base import base_below, functions_of
from pfncache.verify.comparison import Comparison
from pfncache.verify.coverage import coverage_of as lines_covered
from pfncache.verify.design_outcome import DesignOutcome, DesignVerdict
from pfncache.verify.identity import changed_functions
from pfncache.verify.job import Job
from pfncache.verify.kept_outcomes import KeptOutcomes
from pfncache.verify.minimised import Minimised
from pfncache.verify.outcome import Outcome
from pfncache.verify.reach import compared
from pfncache.verify.selection import not_applicable, searched

if TYPE_CHECKING:  # it translates C, which a design in Python needs nothing of
    from pfncache.series.step import SeriesStep

NOT_SEARCHED = "interrupted before it was searched"


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search."""

    max_states: int = MAX_STATES
    """Distinct states of a scenario after which its search is bounded."""
    reduction: bool = True
    """False: expand every actor in every state."""
    first: bool = False
    """End each search at the first violation."""
    budget: float = 0.0
    """Seconds of guided search where a search is bounded."""
    processes: int | None = None
    """Worker processes; None for one a core."""
    coverage: bool = False
    """Report the lines that no scenario has reached."""
    absolute: bool = False
    """Compare no design with its base."""
    kept: bool = False
    """Take outcomes of earlier runs from disk where all that a search reached is the same, and keep those of this."""


@dataclass(kw_only=True)
class Session:
    """The designs that are searched, the jobs, and the outcomes as far as they are known."""

    designs: Sequence[Design]
    jobs: list[Job]
    """Those of the bases, then those of the designs: a base's outcome is known when its design's is."""
    options: SearchOptions
    bases: list[Design | None]
    """For each design: what it is compared with."""
    scenarios: list[list[str]]
    """For each design: what is searched."""
    idle: list[dict[str, str]]
    """For each design: the scenarios that were asked for and that its kernel cannot run, with the reason."""
    steps: Sequence[SeriesStep | None]
    """For each design: the series that it was made from."""
    interrupted: KeyboardInterrupt | Terminated | None = None
    """What ended the run early."""
    violated: int = 0
    """Number of searches so far with a violation that counts."""
    points: Mapping[str, Point] = field(default_factory=dict)
    """The points of the scenarios that are of the space, by name."""
    space: Space = SPACE
    """The space of scenarios."""
    changed: Sequence[frozenset[str]] = ()
    """For each design: the functions that its series changes; none for a design without a series."""
    taken: int = 0
    """Number of jobs whose outcome is one of an earlier run."""
    planned: Sequence[Job] = ()
    """All jobs, with those whose outcome is one of an earlier run."""
    _minimised: dict[int, list[Minimised]] = field(default_factory=dict)
    """By number of the design."""
    _found: dict[tuple[int, str], Outcome] = field(default_factory=dict)
    """Outcomes so far, by the identity of the design and the name of the scenario."""

    @classmethod
    def plan(
        cls,
        designs: Sequence[Design | SeriesStep],
        scenarios: Sequence[Scenario],
        *,
        wanted: Sequence[str],
        options: SearchOptions,
        space: Space = SPACE,
    ) -> Session:
        """Return the session that searches each scenario under each design that it applies to, and under its base.

        `wanted` are the names and prefixes that were asked for, if any: then these scenarios are searched under designs
        of a known fault too. `space` is that of which scenarios are points. A series has its own base; of one that
        cannot be translated, nothing is searched.
        """
        steps = [None if isinstance(given, Design) else given for given in designs]
        mine = [given if isinstance(given, Design) else given.design for given in designs]
        bases = [None if options.absolute else _base(given) for given in designs]
        chosen = [
            [s for s in scenarios if searched(design, s, bool(wanted)) and not (step is not None and step.refused)]
            for design, step in zip(mine, steps, strict=True)
        ]
        pairs = [(design, s) for design, some in zip(mine, chosen, strict=True) for s in some]
        below = [
            (base, s)
            for base, some in zip(bases, chosen, strict=True)
            for s in some
            if base is not None and base.has(s.memory)
        ]
        added = frozenset(name for design in mine for patch in design.patches for name in dir(patch))
        base_of = {id(design): base for design, base in zip(mine, bases, strict=True)}
        jobs = {
            (id(design), scenario.name): Job(
                design, scenario, options.max_states, options.reduction, first=options.first,
                coverage=options.coverage, elsewhere=added, kept=options.kept, budget=options.budget,
                base=base_of.get(id(design)),
            )
            for design, scenario in (*below, *pairs)
        }  # fmt: skip
        session = cls(
            designs=mine,
            steps=steps,
            jobs=list(jobs.values()),
            options=options,
            bases=bases,
            scenarios=[[s.name for s in some] for some in chosen],
            points={s.name: s.point for s in scenarios if isinstance(s, SpaceScenario)},
            space=space,
            idle=[not_applicable(design, scenarios, wanted) for design in mine],
            changed=[changed_functions(s.base, s.design) if s is not None else frozenset() for s in steps],
        )
        if options.kept and not options.coverage:
            session._take_kept()
        return session

    def _take_kept(self) -> None:
        """Take the outcomes that are on disk; of a design whose base is to be searched, none is judged before that."""
        self.planned = self.jobs
        kept: dict[str, KeptOutcomes] = {}
        left: list[Job] = []
        searched: set[tuple[int, str]] = set()
        for job in self.jobs:
            base = self._found.get((id(job.base), job.scenario_name))
            if base is not None:
                job = replace(job, base_reached=compared(base.targets))  # noqa: PLW2901
            outcomes = kept.get(job.scenario_name) or kept.setdefault(job.scenario_name, KeptOutcomes.of(job))
            waits = (id(job.base), job.scenario_name) in searched
            found = outcomes.find(job, job.base_reached) if outcomes.lines and not waits else None
            if found is None:
                searched.add((id(job.design), job.scenario_name))
                left.append(job)
            else:
                self.taken += 1
                self._count(job, found)
        self.jobs = left

    def unaffected(self, number: int) -> frozenset[str]:
        """Return the scenarios that run no function which a series changes, as far as is known."""
        base = self.bases[number]
        if self.steps[number] is None or base is None:
            return frozenset()
        known = {name: self._found.get((id(base), name)) for name in self.scenarios[number]}
        return frozenset(
            name for name, o in known.items() if o is not None and o.used and not o.used & self.changed[number]
        )

    def notes(self) -> list[str]:
        """Return a line on what is not searched again, and for each series one on how much it can affect."""
        lines = []
        if self.taken:
            left = f"{len(self.jobs):,} are left"
            lines.append(f"{self.taken:,} outcomes are of earlier searches of the same functions; {left}")
        for number, step in enumerate(self.steps):
            names = self.scenarios[number]
            if step is None or self.bases[number] is None or not names:
                continue
            unknown = sum((id(step.base), name) not in self._found for name in names)
            affected = len(names) - len(self.unaffected(number)) - unknown
            text = f"{step.design.name}: the series can affect {affected} of {len(names)} scenarios"
            if unknown:
                text += f", and may affect {unknown} in which {step.base.name} is searched first"
            lines.append(text)
        return lines

    def run(self, on_done: Callable[[Job], None] = lambda job: None) -> None:
        """Search. Ctrl-C and SIGTERM end the run; what was not searched is bounded. Raises CompileError."""
        if not self.jobs:
            return
        from pfncache.verify.runner import run_jobs  # noqa: PLC0415 (it imports Numba)

        try:
            for job, outcome in run_jobs(self.jobs, self.options.processes):
                self._count(job, outcome)
                on_done(job)
        except (KeyboardInterrupt, Terminated) as reason:
            self.interrupted = reason

    def _count(self, job: Job, outcome: Outcome) -> None:
        """Take the outcome of a job."""
        self._found[id(job.design), job.scenario_name] = outcome
        if any(design is job.design for design in self.designs):
            known = self._found.get((id(job.base), job.scenario_name))
            functions = functions_of(job.base) if job.base is not None else frozenset()
            self.violated += bool(Comparison.of(outcome, known, functions).new)

    def minimise(self, on_search: Callable[[str], None] = lambda name: None) -> None:
        """Find the smallest world of each property's shortest new violation. Ctrl-C and SIGTERM end the run."""
        from pfncache.verify.minimise import Minimiser  # noqa: PLC0415 (it imports Numba)

        jobs = {(id(job.design), job.scenario_name): job for job in self.planned or self.jobs}
        try:
            for number, outcome in enumerate(self.outcomes):
                found = self._minimised.setdefault(number, [])
                for scenario, violation in outcome.shortest():
                    job = jobs[id(self.designs[number]), scenario]
                    minimiser = Minimiser(job=job, violation=violation, base=self.bases[number])
                    found.append(minimiser.run(on_search))
        except (KeyboardInterrupt, Terminated) as reason:
            self.interrupted = reason

    @property
    def outcomes(self) -> list[DesignOutcome]:
        """The outcomes of each design, in the order of the scenarios; what was not searched is bounded."""
        return [self._outcome(number) for number in range(len(self.designs))]

    def _outcome(self, number: int) -> DesignOutcome:
        design, base = self.designs[number], self.bases[number]
        known = {name: outcome for (owner, name), outcome in self._found.items() if owner == id(base)}
        found = [
            self._found.get((id(design), name)) or Outcome.bounded(name, reason=NOT_SEARCHED)
            for name in self.scenarios[number]
        ]
        mine = [o.judged(compared(known[o.scenario].targets)) if o.scenario in known else o for o in found]
        idle = [Outcome.not_applicable(name, reason=reason) for name, reason in self.idle[number].items()]
        step = self.steps[number]
        return DesignOutcome(
            design=design.name,
            title=design.title,
            patches=tuple(patch.subject() for patch in design.patches[len(base.patches) if base is not None else 0 :]),
            outcomes=mine + idle,
            base=base.name if base is not None else None,
            coverage=lines_covered(design, mine) if self.options.coverage else None,
            base_outcomes=known,
            base_functions=functions_of(base) if base is not None else frozenset(),
            changes=step.changes if step is not None else None,
            space=self._space(design, mine),
            points={o.scenario: self.points[o.scenario].values for o in mine if o.scenario in self.points},
            minimised=tuple(self._minimised[number]) if number in self._minimised else None,
            unaffected=self.unaffected(number),
        )

    def _space(self, design: Design, outcomes: Sequence[Outcome]) -> SpaceCoverage | None:
        """Return what part of the space was searched to its end under a design."""
        if not any(outcome.scenario in self.points for outcome in outcomes):
            return None
        from pfncache.scenarios.space.counting import coverage_of  # noqa: PLC0415 (it imports NumPy)

        complete = [outcome.scenario for outcome in outcomes if outcome.is_complete]
        points = [self.points[name] for name in complete if name in self.points]
        return coverage_of(points, [kind for kind in MemoryKind if design.has(kind)], self.space)


def _base(given: Design | SeriesStep) -> Design | None:
    return base_below(given) if isinstance(given, Design) else given.base


def verdict_of(designs: Sequence[DesignOutcome]) -> DesignVerdict:
    """Return the worst verdict of any design; that of none is incomplete."""
    return max((d.verdict for d in designs), key=list(DesignVerdict).index, default=DesignVerdict.INCOMPLETE)
