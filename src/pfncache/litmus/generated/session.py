# SPDX-License-Identifier: GPL-2.0-only
"""One run of generated tests: scenario by scenario, and what was found until it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from pfncache.check.compile.source import CompileError
from pfncache.designs.design import Design
from pfncache.interrupts import Terminated, raising
from pfncache.litmus.generated.ask import Asker
from pfncache.litmus.generated.cycles import Conflicts, conflicts_of
from pfncache.litmus.generated.marks import Marks
from pfncache.litmus.generated.recorded import RecordedOperation
from pfncache.litmus.generated.recorder import record
from pfncache.litmus.generated.result import GeneratedVerdict, ScenarioResult
from pfncache.litmus.herd import HerdError
from pfncache.litmus.observe import STOPPED, MemoryModel
from pfncache.litmus.source import KernelSource
from pfncache.scenarios.scenario import Scenario
from pfncache.verify.systems import compile_error, make_system


@dataclass(frozen=True)
class Question:
    """A scenario, and what its actors share; nothing if it cannot be run."""

    scenario: str
    operations: Sequence[RecordedOperation] = ()
    conflicts: Conflicts | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class KernelC:
    """A kernel's C, as text and as a design."""

    words: str
    """What it is from."""
    design: Design
    tree: Path
    """Where the design has its C from."""
    source: KernelSource


@dataclass(kw_only=True)
class GeneratedSession:
    """Scenarios with their recordings, and their results as far as they are known."""

    kernel: str
    """What the C is from, in words."""
    questions: list[Question]
    asker: Asker
    model: MemoryModel
    interrupted: KeyboardInterrupt | Terminated | None = None
    """What ended the run early."""
    _found: dict[str, ScenarioResult] = field(default_factory=dict)

    @classmethod
    def plan(
        cls, scenarios: Sequence[Scenario], kernel: KernelC, model: MemoryModel, *, processes: int | None = None
    ) -> GeneratedSession:
        """Return the session of some scenarios."""
        marks = Marks(kernel.source)
        questions = [_question(scenario, kernel, marks) for scenario in scenarios]
        asker = Asker(marks, model, processes)
        return cls(kernel=kernel.words, questions=questions, asker=asker, model=model)

    def run(self, on_done: Callable[[ScenarioResult], None] = lambda result: None) -> None:
        """Ask herd7. Ctrl-C and SIGTERM end the run; what was not asked is unknown."""
        pool = ThreadPoolExecutor(1)  # for one scenario after the other, whose tests run in parallel
        try:
            with raising():
                futures: list[Future[ScenarioResult]] = [pool.submit(self._asked, one) for one in self.questions]
                for future in as_completed(futures):
                    result = future.result()
                    self._found[result.scenario] = result
                    on_done(result)
        except (KeyboardInterrupt, Terminated) as reason:
            self.interrupted = reason
            self.model.stopped.set()
        finally:
            pool.shutdown(cancel_futures=True)
            self.asker.close()

    def _asked(self, question: Question) -> ScenarioResult:
        if question.conflicts is None:
            return ScenarioResult(scenario=question.scenario, operations=0, error=question.error)
        try:
            return self.asker.ask(question.scenario, question.operations, question.conflicts)
        except HerdError as error:
            return ScenarioResult(scenario=question.scenario, operations=len(question.operations), error=str(error))

    @property
    def is_unordered(self) -> bool:
        """Whether a scenario needs a barrier or has a data race."""
        bad = (GeneratedVerdict.NEEDS_BARRIER, GeneratedVerdict.DATA_RACE)
        return any(result.verdict in bad for result in self.results)

    @property
    def is_incomplete(self) -> bool:
        """Whether something about a scenario is unknown."""
        return any(result.verdict is GeneratedVerdict.UNKNOWN for result in self.results)

    @property
    def results(self) -> list[ScenarioResult]:
        """The results in the order of the scenarios."""
        return [
            self._found.get(one.scenario)
            or ScenarioResult(scenario=one.scenario, operations=len(one.operations), error=STOPPED)
            for one in self.questions
        ]


def _question(scenario: Scenario, kernel: KernelC, marks: Marks) -> Question:
    try:
        operations = record(make_system(kernel.design, scenario, ()), kernel.tree)
    except CompileError as error:
        return Question(scenario.name, error=compile_error(error))
    conflicts = conflicts_of(operations, lambda event: marks.order(event) is not None)
    return Question(scenario.name, operations, conflicts)
