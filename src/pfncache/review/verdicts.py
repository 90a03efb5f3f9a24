# SPDX-License-Identifier: GPL-2.0-only
"""Searches a series up to each of its patches, and says which patch breaks or cures what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pfncache.check.verdict import Verdict
from pfncache.review.patches import PatchStep
from pfncache.review.quote import quoted_by_trace
from pfncache.review.report import FindingKind, PatchReview, ReviewFinding
from pfncache.review.submission import Submission
from pfncache.scenarios.scenario import Scenario
from pfncache.verify.comparison import Comparison
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.session import SearchOptions, Session

FEW_JOBS = 4
"""Searches that take less time than the start of other processes for them."""
NAMED = 5
"""Most scenarios that a finding names."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is searched, and how."""

    scenarios: Sequence[Scenario]
    wanted: tuple[str, ...] = ()
    """The names and prefixes that were asked for."""
    search: SearchOptions


def search(
    steps: Sequence[PatchStep], plan: Plan, run: Callable[[Session], None], found: dict[int, DesignOutcome]
) -> None:
    """Search a series up to each of its patches; put each outcome into `found`, by patch.

    What a search of one reaches is not searched again for another. Raises what has interrupted it; what was found
    until then is in `found`.
    """
    designs = [step.design for step in steps if step.design is not None]
    session = Session.plan(designs, plan.scenarios, wanted=plan.wanted, options=plan.search)
    if len(session.jobs) <= FEW_JOBS:
        session.options = replace(session.options, processes=1)
    run(session)
    found.update(zip((step.patch.number for step in steps if step.design is not None), session.outcomes, strict=True))
    if session.interrupted is not None:
        raise session.interrupted


def reviewed(patch: PatchReview, outcome: DesignOutcome | None) -> PatchReview:
    """Return a patch with the verdict on the series up to it."""
    if outcome is None:
        return patch
    comparisons = outcome.comparisons
    return replace(
        patch,
        verdict=outcome.verdict,
        new=sum(len(c.new) for c in comparisons),
        unchanged=sum(len(c.unchanged) for c in comparisons),
        cured=sum(len(c.cured) for c in comparisons),
    )


def findings_of(found: Mapping[int, DesignOutcome], submission: Submission, last: int) -> Iterator[ReviewFinding]:
    """Yield what each patch breaks, what the series cures, and what was not searched to its end.

    `last` is the number of the last patch, up to which the series is whole.
    """
    for number in sorted(found):
        yield from _broken(found, number, submission, last)
    whole = found.get(last)
    if whole is not None:
        yield from _cured(whole)
        yield from _unsearched(whole)


@dataclass(kw_only=True)
class _Break:
    """A property that a patch breaks, in the scenario with the shortest trace."""

    scenario: str
    violation: Violation
    scenarios: list[str]


def _broken(
    found: Mapping[int, DesignOutcome], number: int, submission: Submission, last: int
) -> Iterator[ReviewFinding]:
    mine = found[number]
    before = found.get(number - 1)
    known = {o.scenario: o for o in before.outcomes} if before is not None else mine.base_outcomes
    breaks: dict[str, _Break] = {}
    for comparison in mine.comparisons:
        name = comparison.outcome.scenario
        added = Comparison.of(comparison.outcome, known.get(name), mine.base_functions).new
        for violation in (v for v in comparison.new if v in added):
            one = breaks.setdefault(
                violation.property, _Break(scenario=name, violation=violation, scenarios=[])
            )  # fmt: skip
            one.scenarios += [name] if name not in one.scenarios else []
            if _length(violation) < _length(one.violation):
                one.scenario, one.violation = name, violation
    for name, one in breaks.items():
        finding = _finding(name, one, number, _ending(found, name, one.scenarios, number, last), submission)
        if before is None and number > 1:
            doubt = f"it may be of patch {number - 1} already, which was not searched"
            finding = replace(finding, details=(*finding.details, doubt))
        yield finding


def _ending(
    found: Mapping[int, DesignOutcome], name: str, scenarios: Sequence[str], number: int, last: int
) -> int | None:
    """Return the patch from which on a property is kept again that an earlier one breaks.

    None if the whole series breaks it, 0 if that is not known: the search has not ended, or what breaks there hides it.
    """
    if number == last or (last in found and _breaks(found[last], name, scenarios)):
        return None
    if last not in found or not _keeps(found[last], scenarios):
        return 0
    return next(n for n in sorted(found) if n > number and _keeps(found[n], scenarios))


def _breaks(outcome: DesignOutcome, name: str, scenarios: Sequence[str]) -> bool:
    return any(v.property == name for c in outcome.comparisons if c.outcome.scenario in scenarios for v in c.new)


def _keeps(outcome: DesignOutcome, scenarios: Sequence[str]) -> bool:
    """Whether scenarios were searched to their end, and nothing is new in them."""
    some = [c for c in outcome.comparisons if c.outcome.scenario in scenarios]
    return len(some) == len(scenarios) and all(c.outcome.is_complete and not c.new for c in some)


def _finding(name: str, one: _Break, number: int, ending: int | None, submission: Submission) -> ReviewFinding:
    trace = one.violation.trace
    mail = submission.mail(number)
    row = trace.rows[-1] if trace is not None and trace.rows else None
    others = len(one.scenarios) - 1
    where = f"{one.scenario}{f' and {others} other scenario' if others else ''}{'s' * (others > 1)}"
    text = f"{name} in {where}, which {submission.base} does not have"
    if ending:
        text = f"{name} in {where} until patch {ending}, so a bisection can meet it"
    elif ending is not None:
        text += "; whether the whole series has it is not known"
    more = [n for n in one.scenarios if n != one.scenario]
    return ReviewFinding(
        kind=FindingKind.BISECTION if ending else FindingKind.VIOLATION,
        subject=f"{name} in {row.function}()" if row is not None else name,
        text=text,
        patch=number,
        place=row.source if row is not None else "",
        quoted=quoted_by_trace(trace.rows, mail) if trace is not None and mail is not None else (),
        details=(f"also in {_some(more)}",) if more else (),
        violated=name,
        scenario=one.scenario,
        trace=trace,
    )


def _cured(whole: DesignOutcome) -> Iterator[ReviewFinding]:
    cured: dict[str, list[str]] = {}
    for comparison in whole.comparisons:
        for violation in comparison.cured:
            names = cured.setdefault(violation.property, [])
            names += [comparison.outcome.scenario] if comparison.outcome.scenario not in names else []
    for name, scenarios in cured.items():
        yield ReviewFinding(
            kind=FindingKind.CURED, subject=name, text=f"the series cures {name} in {_some(scenarios)}"
        )  # fmt: skip


def _unsearched(whole: DesignOutcome) -> Iterator[ReviewFinding]:
    reasons: dict[str, list[Outcome]] = {}
    for outcome in whole.outcomes:
        if outcome.verdict is Verdict.VACUOUS or not outcome.is_complete:
            reasons.setdefault(f"{outcome.verdict}: {outcome.limit}", []).append(outcome)
    for reason, outcomes in reasons.items():
        yield ReviewFinding(
            kind=FindingKind.UNSEARCHED, subject=f"{outcomes[0].scenario} {outcomes[0].verdict}",
            text=f"{_some([o.scenario for o in outcomes])}: {reason}",
        )  # fmt: skip


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _length(violation: Violation) -> int:
    return len(violation.trace.rows) if violation.trace is not None else 0
