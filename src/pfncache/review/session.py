# SPDX-License-Identifier: GPL-2.0-only
"""A review: its stages, side by side where they can be, and the report of what is known at any time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event, Thread

from pfncache.check.compile.source import CompileError
from pfncache.designs.design import Design
from pfncache.interrupts import Terminated
from pfncache.review import barriers, confirm, costs, patches, reach, verdicts
from pfncache.review.kernel import KernelRun
from pfncache.review.patches import PatchStep
from pfncache.review.report import FindingKind, PatchState, ReviewFinding, ReviewReport, StageState, Weight
from pfncache.review.stages import Note, StageFailed, Stages
from pfncache.review.submission import Submission
from pfncache.review.verdicts import Plan
from pfncache.scenarios.scenario import Scenario
from pfncache.series.step import SeriesStep, mainline_of
from pfncache.verify.base import base_below
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.identity import changed_functions
from pfncache.verify.session import Session
from pfncache.verify.systems import compile_error

PATCHES, VERDICTS, REACH, COSTS, LITMUS, BUILD, SELFTESTS, CONFIRM = (
    "patches", "verdicts", "changed lines", "matrix and cost", "litmus", "kernel build", "selftests",
    "violations on the kernel",
)  # fmt: skip
FEW_STATES = 50
"""A search of fewer states has hardly run anything."""
COMPILER = re.compile(r"\S+\.[chS]:\d+: ")
"""Beginning of a compiler's error: without one, a build has failed for a reason that is not the series."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a review calls while it runs."""

    note: Note
    """Takes a line of progress."""
    search: Callable[[Session], None]
    """Runs a session of searches with its progress."""
    explain: Callable[[BaseException], str]
    """Returns an unexpected error in a line."""


class ReviewSession:
    """A review of one submission."""

    def __init__(
        self, submission: Submission, plan: Callable[[Sequence[PatchStep]], Plan], hooks: Hooks,
        kernel: KernelRun | None = None, no_kernel: str = "",
    ) -> None:  # fmt: skip
        """`plan` chooses the scenarios once it is known what the series changes; without a kernel, a reason."""
        self.submission = submission
        self.stages = Stages(hooks.note, hooks.explain)
        self._plan_of = plan
        self._hooks = hooks
        self._kernel = kernel
        if kernel is not None:
            kernel.note = lambda line: hooks.note(f"kernel: {line}")
        self._no_kernel = no_kernel
        self._stop_litmus = Event()
        self.plan: Plan | None = None
        self._steps: list[PatchStep] = []
        self._outcomes: dict[int, DesignOutcome] = {}
        self._findings: dict[str, list[ReviewFinding]] = {}
        """By stage."""
        self._ordered: frozenset[str] = frozenset()
        """Functions whose barriers litmus tests have asked about, without a difference."""
        self._build_ended = Event()
        self._on_kernel: dict[tuple[str, str], str] = {}
        """What the kernel did of a violation, by the identity of its finding."""

    def run(self) -> None:
        """Do every stage. What fails or is interrupted leaves a report of the rest."""
        beside: list[Thread] = []
        try:
            self.stages.run(PATCHES, self._patches)
            beside += [Thread(target=work, daemon=True) for work in (self._litmus, self._real_kernel)]
            for thread in beside:
                thread.start()
            self.stages.run(VERDICTS, self._verdicts)
            if self._whole is not None and self._whole.is_searched:
                self.stages.run(REACH, self._reach)
                self.stages.run(COSTS, self._costs)
            beside.append(Thread(target=self._violations_on_kernel, daemon=True))
            beside[-1].start()
            for thread in beside:
                while thread.is_alive() and not self.stages.is_over:
                    thread.join(0.2)
        except (KeyboardInterrupt, Terminated) as reason:
            self.stages.interrupted = reason
        finally:
            self._stop(beside)
            if self.stages.is_over:
                for name in (VERDICTS, REACH, COSTS):
                    if self.stages.record(name) is None:
                        self.stages.run(name, str)

    def _stop(self, threads: list[Thread]) -> None:
        """End what runs beside the searches, if the review is over."""
        if self.stages.is_over:
            self._stop_litmus.set()
            if self._kernel is not None:
                self._kernel.stopped.set()
        for thread in threads:
            if thread.ident is not None:  # an interrupt may have come before its start
                thread.join()

    @property
    def _whole(self) -> PatchStep | None:
        """The last step, if it is the whole series and is to be searched."""
        return self._steps[-1] if self._steps else None

    @property
    def _last(self) -> PatchStep | None:
        """The last step that is searched."""
        some = [step for step in self._steps if step.is_searched]
        return some[-1] if some else None

    @property
    def designs(self) -> dict[int, Design]:
        """The series up to each patch that was searched, by its number."""
        found = {step.patch.number: step.design for step in self._steps if step.design is not None}
        return {n: one.design if isinstance(one, SeriesStep) else one for n, one in found.items()}

    @property
    def scenarios(self) -> dict[str, Scenario]:
        """The scenarios that were chosen, by name."""
        return {scenario.name: scenario for scenario in self.plan.scenarios} if self.plan is not None else {}

    @property
    def report(self) -> ReviewReport:
        """What is known."""
        last = self._last
        outcome = self._outcomes.get(last.patch.number) if last is not None else None
        found = [self._weighed(finding) for some in self._findings.values() for finding in some]
        if last is not None:
            found += map(self._tried, verdicts.findings_of(self._outcomes, self.submission, last.patch.number))
        order = list(FindingKind)
        return ReviewReport(
            name=self.submission.name,
            title=self.submission.title,
            base=self.submission.base,
            version=self.submission.version,
            notes=self.submission.notes,
            patches=tuple(verdicts.reviewed(s.patch, self._outcomes.get(s.patch.number)) for s in self._steps),
            findings=tuple(sorted(found, key=lambda f: (f.patch or len(self._steps) + 1, order.index(f.kind)))),
            stages=self.stages.records,
            scenarios=len(outcome.outcomes) if outcome is not None else 0,
            unaffected=len(outcome.unaffected) if outcome is not None else 0,
            states=sum(o.states for o in outcome.outcomes) if outcome is not None else 0,
        )

    def _weighed(self, finding: ReviewFinding) -> ReviewFinding:
        """Return a finding; a barrier that no search sees is a note where litmus tests have seen no difference."""
        if finding.kind is FindingKind.UNSEEN and finding.function in self._ordered:
            return replace(finding, own_weight=Weight.NOTE)
        return finding

    def _tried(self, finding: ReviewFinding) -> ReviewFinding:
        """Return a finding with what the kernel did."""
        said = self._on_kernel.get(finding.identity)
        return replace(finding, details=(*finding.details, f"On the kernel: {said}")) if said else finding

    # The stages

    def _patches(self) -> str:
        for step in patches.steps_of(self.submission):
            self._steps.append(step)
        self._findings[PATCHES] = list(patches.findings_of(self._steps, self.submission))
        count = sum(step.patch.state in (PatchState.CHECKED, PatchState.REFUSED) for step in self._steps)
        does = "apply to" if self.submission.mails else "are on"
        return f"{count} of {len(self._steps)} {does} {self.submission.base}"

    def _verdicts(self) -> str:
        some = [step for step in self._steps if step.is_searched]
        if not some:
            raise StageFailed("no patch can be searched")
        self.plan = self._plan_of(self._steps)
        try:
            verdicts.search(some, self.plan, self._hooks.search, self._outcomes)
        except CompileError as error:
            raise StageFailed(compile_error(error)) from None
        count = len(self.plan.scenarios)
        return f"{len(some)} of {len(self._steps)} patches in {count} scenario{'s' * (count != 1)}"

    def _reach(self) -> str:
        step, base = self._whole, self.submission.tree
        assert step is not None
        changed = reach.changed_lines(base, step.tree) if base is not None and step.tree is not None else None
        missed = reach.missed_lines(step, self._affected(), self._hooks.search, changed)
        self._findings[REACH] = list(reach.findings_of(missed, self.submission))
        words = f"{len(missed)} with code reached by no scenario"
        return f"{sum(map(len, changed.values()))} changed, {words}" if changed is not None else words

    def _affected(self) -> Plan:
        """The plan without the scenarios that run nothing of what the series changes.

        Small ones come first, but not those of a few states: they end before much is run.
        """
        outcome = self._outcomes.get(self._steps[-1].patch.number)
        idle = outcome.unaffected if outcome is not None else frozenset()
        states = {o.scenario: o.states for o in outcome.outcomes} if outcome is not None else {}
        assert self.plan is not None
        some = [scenario for scenario in self.plan.scenarios if scenario.name not in idle]
        some.sort(key=lambda one: (states.get(one.name, 0) < FEW_STATES, states.get(one.name, 0)))
        return Plan(scenarios=some, wanted=self.plan.wanted, search=self.plan.search)

    def _costs(self) -> str:
        base, design = self._pair()
        self._findings[COSTS] = [*costs.costs_of(base, design), *costs.paths_of(base, design)]
        count = len(self._findings[COSTS])
        return f"{count} difference{'s' * (count != 1)}" if count else "as without the series"

    def _pair(self) -> tuple[Design, Design]:
        """The base and the whole series."""
        assert self._whole is not None
        given = self._whole.design
        if isinstance(given, SeriesStep):
            return given.base, given.design
        assert given is not None
        base = base_below(given)
        if base is None:
            raise StageFailed(f"{given.name} has no base")
        return base, given

    def _litmus(self) -> None:
        step = self._whole
        if step is None or not isinstance(step.design, SeriesStep):
            return
        design = step.design
        names = frozenset(change.name for change in design.changes) | changed_functions(design.base, design.design)
        tests = barriers.litmus_tests_of(names)

        def work() -> str:
            asked = barriers.changes_of(self.submission, tests, self._stop_litmus)
            self._findings[LITMUS] = list(barriers.findings_of(asked, self.submission, design.changes))
            self._ordered = barriers.seen_by(asked)
            return f"{len(tests)} tests are about what the series changes, {len(asked)} have other events"

        self.stages.run(LITMUS, work)

    def _real_kernel(self) -> None:
        kernel = self._kernel
        try:
            if kernel is None:
                self.stages.skip(BUILD, self._no_kernel, is_wanted=False)
            elif any(step.patch.state is PatchState.NOT_APPLIED for step in self._steps):
                self.stages.skip(BUILD, "the series does not apply", is_wanted=True)
            else:
                self.stages.run(BUILD, kernel.build)
        finally:
            self._build_ended.set()
        built = self.stages.record(BUILD)
        if built is None or kernel is None:
            return
        self._findings[BUILD] = [
            ReviewFinding(kind=FindingKind.BUILD, subject=text.partition(":")[0], text=text, patch=number)
            for number, text in kernel.errors.items()
            if COMPILER.match(text)
        ]

        def selftests() -> str:
            text, self._findings[SELFTESTS] = kernel.selftest()
            return text

        if built.state is StageState.DONE:
            self.stages.run(SELFTESTS, selftests)

    def _violations_on_kernel(self) -> None:
        """Once there is a kernel, make selftests of the violations, beside the others."""
        self._build_ended.wait()
        built, kernel = self.stages.record(BUILD), self._kernel
        if kernel is None or built is None or built.state is not StageState.DONE:
            return

        def work() -> str:
            tries = confirm.Tries(kernel=kernel, base=mainline_of(kernel.base).name)
            for finding in self.report.findings:
                scenario = self.scenarios.get(finding.scenario)
                design = self.designs.get(finding.patch or 0)
                if finding.kind is FindingKind.VIOLATION and scenario is not None and design is not None:
                    self._on_kernel[finding.identity] = tries.of(finding, design, scenario)
            return tries.text

        self.stages.run(CONFIRM, work)
