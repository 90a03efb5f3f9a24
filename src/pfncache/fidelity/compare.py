# SPDX-License-Identifier: GPL-2.0-only
"""Compares two designs in a scenario: verdicts, properties, and every final state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pfncache.check.final_states import FinalState, shared
from pfncache.check.verdict import Verdict
from pfncache.designs.design import Design
from pfncache.fidelity.known import DIFFERENCES
from pfncache.fidelity.result import FinalDifference, ScenarioFidelity, SideResult, VariableDifference
from pfncache.scenarios.scenario import Scenario
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import OUT_OF_MEMORY, FinalSearch, same_program, search_final


@dataclass(frozen=True, kw_only=True)
class ComparisonJob:
    """Two designs to compare in a scenario."""

    reference: Design
    subject: Design
    scenario: Scenario
    max_states: int
    threads: int = 1


def compare(job: ComparisonJob) -> ScenarioFidelity:
    """Search a scenario under both designs, and compare what was found."""
    try:
        first, second = _searches(job)
    except MemoryError:
        return ScenarioFidelity.unknown(job.scenario.name, Verdict.BOUNDED, OUT_OF_MEMORY)
    names = shared(first.final, second.final)
    values = [one.final.values(names) for one in (first, second)]
    return ScenarioFidelity(
        scenario=job.scenario.name,
        reference=_side(first.outcome, values[0]),
        subject=_side(second.outcome, values[1]),
        finals=tuple(differences(job, names, values[0], values[1])),
        reason=DIFFERENCES.get(job.reference.name, {}).get(job.scenario.name, ""),
    )


def _searches(job: ComparisonJob) -> tuple[FinalSearch, FinalSearch]:
    """Search under both designs, once where the scenario uses only functions that they have in common."""
    jobs = [Job(design, job.scenario, job.max_states, threads=job.threads) for design in (job.reference, job.subject)]
    first = search_final(jobs[0])
    return first, first if same_program(first, jobs[1]) else search_final(jobs[1])


def _side(outcome: Outcome, values: Collection[FinalState]) -> SideResult:
    return SideResult(
        verdict=outcome.verdict,
        properties=tuple(sorted(outcome.properties)),
        states=outcome.states,
        final=len(values),
        limit=outcome.limit,
        is_complete=outcome.is_complete,
    )


def differences(
    job: ComparisonJob, names: Sequence[str], reference: Collection[FinalState], subject: Collection[FinalState]
) -> list[FinalDifference]:
    """Return the final states that one of the designs has alone: what the subject lacks, then what it has more."""
    found = []
    for design, mine, others in ((job.reference, reference, subject), (job.subject, subject, reference)):
        alone = sorted(set(mine) - set(others), key=repr)
        if alone:
            example = _example(names, alone, others, is_subject=mine is subject)
            found.append(FinalDifference(design=design.name, count=len(alone), example=example))
    return found


def _example(
    names: Sequence[str], alone: Sequence[FinalState], others: Collection[FinalState], *, is_subject: bool
) -> tuple[VariableDifference, ...]:
    """Return in what the state that is nearest to one of the other design differs from that."""
    pairs = [(mine, other) for mine in alone for other in others]
    if not pairs:
        return ()
    mine, other = min(pairs, key=lambda pair: sum(a != b for a, b in zip(*pair, strict=True)))
    first, second = (other, mine) if is_subject else (mine, other)
    return tuple(
        VariableDifference(name=name, reference=a, subject=b)
        for name, a, b in zip(names, first, second, strict=True)
        if a != b
    )
