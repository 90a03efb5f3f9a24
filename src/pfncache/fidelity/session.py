# SPDX-License-Identifier: GPL-2.0-only
"""One run of the comparison: two designs in many scenarios, and what was found until it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pfncache.check.verdict import Verdict
from pfncache.fidelity.compare import ComparisonJob, compare
from pfncache.fidelity.kernel_pair import KernelPair
from pfncache.fidelity.result import Agreement, ScenarioFidelity
from pfncache.interrupts import Terminated
from pfncache.scenarios.scenario import Scenario
from pfncache.verify import MAX_STATES
from pfncache.verify.runner import run_batches
from pfncache.verify.session import NOT_SEARCHED
from pfncache.verify.workers import LOST, usable_cores


@dataclass(kw_only=True)
class FidelitySession:
    """The two designs, the scenarios, and the results as far as they are known."""

    pair: KernelPair
    jobs: list[ComparisonJob]
    processes: int | None = None
    interrupted: KeyboardInterrupt | Terminated | None = None
    """What ended the run early."""
    _found: dict[str, ScenarioFidelity] = field(default_factory=dict)

    @classmethod
    def plan(
        cls,
        pair: KernelPair,
        scenarios: Sequence[Scenario],
        *,
        max_states: int = MAX_STATES,
        processes: int | None = None,
    ) -> FidelitySession:
        """Return the session that compares the two designs in each scenario whose memory both have."""
        chosen = [s for s in scenarios if pair.reference.has(s.memory) and pair.subject.has(s.memory)]
        threads = min(processes or usable_cores(), usable_cores()) if len(chosen) == 1 else 1
        jobs = [
            ComparisonJob(
                reference=pair.reference, subject=pair.subject, scenario=s, max_states=max_states, threads=threads
            )
            for s in chosen
        ]
        return cls(pair=pair, jobs=jobs, processes=processes)

    def run(self, on_done: Callable[[str], None] = lambda name: None) -> None:
        """Compare. Ctrl-C and SIGTERM end the run; what was not compared is incomplete. Raises CompileError."""
        try:
            for job, found in run_batches(_compared, [[job] for job in self.jobs], self.processes):
                name = job.scenario.name
                self._found[name] = found or ScenarioFidelity.unknown(name, Verdict.LOST, LOST)
                on_done(name)
        except (KeyboardInterrupt, Terminated) as reason:
            self.interrupted = reason

    @property
    def scenarios(self) -> list[ScenarioFidelity]:
        """The results in the order of the scenarios."""
        names = [job.scenario.name for job in self.jobs]
        return [
            self._found.get(name) or ScenarioFidelity.unknown(name, Verdict.BOUNDED, NOT_SEARCHED) for name in names
        ]

    def count(self, agreement: Agreement) -> int:
        """Return the number of scenarios, of those that were compared, with an agreement."""
        return sum(found.agreement == agreement for found in self._found.values())

    @property
    def agreement(self) -> Agreement:
        """The worst agreement of any scenario; incomplete too if there is none, or if a change was not seen."""
        found = [scenario.agreement for scenario in self.scenarios]
        found += [Agreement.INCOMPLETE] * (not found or bool(self.pair.unseen))
        return max(found, key=list(Agreement).index)


def _compared(jobs: Sequence[ComparisonJob]) -> Iterator[ScenarioFidelity]:
    return map(compare, jobs)
