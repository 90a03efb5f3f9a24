# SPDX-License-Identifier: GPL-2.0-only
"""One run of the checker: several scenarios under several designs, and what was found until it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pfncache.designs.design import Design
from pfncache.interrupts import Terminated
from pfncache.scenarios.scenario import Scenario
from pfncache.verify import MAX_STATES
from pfncache.verify.base import base_below, functions_of
from pfncache.verify.comparison import Comparison
from pfncache.verify.coverage import coverage_of
from pfncache.verify.design_outcome import DesignOutcome, DesignVerdict
from pfncache.verify.identity import changed_functions
from pfncache.verify.kept_outcomes import KeptOutcomes
from pfncache.verify.outcome import Outcome
from pfncache.verify.reach import compared
from pfncache.verify.runner import Job, run_jobs
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
    processes: int | None = None
    """Worker processes; None for one a core."""
    coverage: bool = False
    """Report the lines that no scenario has reached."""
    absolute: bool = False
    """Compare no design with its base."""


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
    changed: Sequence[frozenset[str]] = ()
    """For each design: the functions that its series changes; none for a design without a series."""
    planned: list[Job] = field(default_factory=list)
    """All jobs, with those whose outcome an earlier run of this process has found."""
    _kept: dict[int, KeptOutcomes] = field(default_factory=dict)
    """Outcomes of earlier runs, by the identity of the base of a series."""
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
    ) -> Session:
        """Return the session that searches each scenario under each design that it applies to, and under its base.

        `wanted` are the names and prefixes that were asked for, if any: then these scenarios are searched under designs
        of a known fault too. A series has its own base; of one that cannot be translated, nothing is searched. Nor is
        a scenario that runs no function which the series changes, where the base's outcome is known.
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
        jobs = {
            (id(design), scenario.name): Job(
                design, scenario, options.max_states, options.reduction,
                first=options.first, coverage=options.coverage, elsewhere=added,
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
            idle=[not_applicable(design, scenarios, wanted) for design in mine],
            changed=[changed_functions(s.base, s.design) if s is not None else frozenset() for s in steps],
        )
        if not options.absolute and not options.coverage:
            session._leave_out_known(chosen)
        return session

    def _leave_out_known(self, chosen: Sequence[Sequence[Scenario]]) -> None:
        """Take the outcomes of earlier runs for the bases of series, and for what these series cannot affect."""
        jobs = {(id(job.design), job.scenario_name): job for job in self.jobs}
        bounds = self.options.max_states, self.options.reduction, self.options.first
        for number, step in enumerate(self.steps):
            if step is None:
                continue
            kept = self._kept.setdefault(id(step.base), KeptOutcomes.of(step.base, *bounds))
            for scenario in chosen[number]:
                base, own = (id(step.base), scenario.name), (id(step.design), scenario.name)
                known = kept.get(scenario)
                if known is None:
                    continue
                jobs.pop(base, None)
                self._found[base] = known
                if known.used & self.changed[number]:
                    jobs[own] = replace(jobs[own], base_reached=compared(known.targets))
                else:
                    jobs.pop(own, None)
                    self._found[own] = known
        self.jobs = list(jobs.values())

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
        """Return, for each series, a line on how many scenarios it can affect."""
        lines = []
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
        base_of = {id(design): base for design, base in zip(self.designs, self.bases, strict=True)}
        try:
            for job, outcome in run_jobs(self.jobs, self.options.processes):
                self._found[id(job.design), job.scenario_name] = outcome
                if id(job.design) in self._kept:
                    self._kept[id(job.design)].keep(outcome)
                if id(job.design) in base_of:
                    base = base_of[id(job.design)]
                    known = self._found.get((id(base), job.scenario_name))
                    functions = functions_of(base) if base is not None else frozenset()
                    self.violated += bool(Comparison.of(outcome, known, functions).new)
                on_done(job)
        except (KeyboardInterrupt, Terminated) as reason:
            self.interrupted = reason
        finally:
            for kept in self._kept.values():
                kept.write()

    def reuse(self, earlier: Session) -> None:
        """Take the outcomes of an earlier run for designs that are the same objects; offer the others to the jobs.

        A file that is loaded again has other designs. What is the same in them is found where they are set up.
        """
        left = []
        for job in self.jobs:
            known = earlier._of_scenario(job)
            same = next((o for old, o in known if old.design is job.design and old.bounds == job.bounds), None)
            if same is not None:
                self._found[id(job.design), job.scenario_name] = same
                continue
            base = next((b for d, b in zip(self.designs, self.bases, strict=True) if d is job.design), None)
            reached = self._found.get((id(base), job.scenario_name))
            targets = compared(reached.targets) if reached is not None else job.base_reached
            left.append(replace(job, earlier=known, base_reached=job.base_reached | targets))
        self.planned = self.jobs
        self.jobs = left

    def _of_scenario(self, job: Job) -> tuple[tuple[Job, Outcome], ...]:
        """Return the complete outcomes of a job's scenario, with their jobs; none of another scenario of that name."""
        found = ((old, self._found.get((id(old.design), old.scenario_name))) for old in self.planned or self.jobs)
        return tuple(
            (replace(old, earlier=()), outcome)
            for old, outcome in found
            if outcome is not None and outcome.is_complete and outcome.used and old.scenario is job.scenario
        )

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
            coverage=coverage_of(design, mine) if self.options.coverage else None,
            base_outcomes=known,
            base_functions=functions_of(base) if base is not None else frozenset(),
            changes=step.changes if step is not None else None,
            unaffected=self.unaffected(number),
        )


def _base(given: Design | SeriesStep) -> Design | None:
    return base_below(given) if isinstance(given, Design) else given.base


def verdict_of(designs: Sequence[DesignOutcome]) -> DesignVerdict:
    """Return the worst verdict of any design; that of none is incomplete."""
    return max((d.verdict for d in designs), key=list(DesignVerdict).index, default=DesignVerdict.INCOMPLETE)
