# SPDX-License-Identifier: GPL-2.0-only
"""Litmus tests whose C a series changes: what the memory model says of them with the series and without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pfncache.litmus.catalogue import LITMUS_TESTS
from pfncache.litmus.fit import Fitted, fit
from pfncache.litmus.herd import HerdError, find
from pfncache.litmus.judge import judge
from pfncache.litmus.observe import MODEL, MemoryModel
from pfncache.litmus.protocol import LitmusTest, LitmusVerdict
from pfncache.litmus.source import KernelSource
from pfncache.review.quote import quoted_at, quoted_change
from pfncache.review.report import FindingKind, ReviewFinding, Weight
from pfncache.review.stages import StageFailed, StageSkipped
from pfncache.review.submission import Submission
from pfncache.series.change import SourceChange

UNASKED = (LitmusVerdict.OUT_OF_DATE, LitmusVerdict.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class LitmusDifference:
    """A litmus test that the series makes another one."""

    test: LitmusTest
    before: LitmusVerdict
    after: LitmusVerdict
    differences: tuple[str, ...]
    """How the C differs from the test, or why it can no more be asked."""

    @property
    def is_worse(self) -> bool:
        """Whether the memory model allows what it did not allow."""
        order = list(LitmusVerdict)
        return self.after not in UNASKED and order.index(self.after) > order.index(self.before)

    @property
    def is_unknown(self) -> bool:
        """Whether the test says nothing any more, or says that the C is broken and nothing of the base."""
        if self.before in UNASKED:
            return self.after is LitmusVerdict.BROKEN
        return self.after in UNASKED


def affected(functions: frozenset[str]) -> list[LitmusTest]:
    """Return the tests that abstract one of these functions."""
    return [test for test in LITMUS_TESTS.values() if functions & _functions(test)]


def _functions(test: LitmusTest) -> set[str]:
    slices = [part for thread in test.threads for part in thread.slices]
    return {f.name for part in slices for f in (part.function, *part.inline.values())}


def changes_of(submission: Submission, tests: Sequence[LitmusTest], stopped: Event) -> list[LitmusDifference]:
    """Ask about the tests whose events differ, with the series and without it. Raises StageSkipped."""
    assert submission.source is not None
    with KernelSource(submission.source) as old, KernelSource(submission.source, submission.mails) as new:
        pairs = [(fit(test, old), fit(test, new)) for test in tests]
    pairs = [(before, after) for before, after in pairs if _events(before) != _events(after)]
    return [_asked(before, after, _model(submission.source, stopped)) for before, after in pairs]


def _model(source: Path, stopped: Event) -> MemoryModel:
    found = find()
    if found is None:
        raise StageSkipped("herd7 is not here; `pfncache litmus` fetches it")
    try:
        return MemoryModel(found, source / MODEL, stopped)
    except HerdError as error:
        raise StageSkipped(str(error)) from None


def _events(fitted: Fitted) -> object:
    """Return what the memory model sees of a test; line numbers are no part of it."""
    return [[step.event for step in steps] for steps in fitted.threads] or fitted.out_of_date


def _asked(before: Fitted, after: Fitted, model: MemoryModel) -> LitmusDifference:
    try:
        first, second = (judge(fitted, model, with_variants=False) for fitted in (before, after))
    except HerdError as error:
        raise StageFailed(f"{after.test.name}: {error}") from None
    return LitmusDifference(
        test=after.test, before=first.verdict, after=second.verdict,
        differences=second.reasons or tuple(d for d in second.differences if d not in first.differences),
    )  # fmt: skip


def findings_of(
    changed: Sequence[LitmusDifference], submission: Submission, changes: Sequence[SourceChange]
) -> Iterator[ReviewFinding]:
    """Yield a finding for each test whose events are others: what the memory model says of it now.

    `changes` are what the series changes, to find the patch.
    """
    for one in changed:
        weight = None if one.is_worse else Weight.UNKNOWN if one.is_unknown else Weight.NOTE
        before = f"{one.before} without the series" if one.after is not one.before else "as without the series"
        patch, quoted = _patch_of(one, submission, changes)
        yield ReviewFinding(
            kind=FindingKind.LITMUS, subject=one.test.name, patch=patch, quoted=quoted, own_weight=weight,
            text=f"litmus test {one.test.name}: {one.after}, {before}; it is about: {one.test.protects}",
            details=one.differences,
        )  # fmt: skip


def seen_by(changed: Sequence[LitmusDifference]) -> frozenset[str]:
    """Return the functions whose barriers a test has asked about, with the same answer as without the series."""
    same = [one for one in changed if one.after is one.before and one.after not in UNASKED]
    asked = frozenset(name for one in same for name in _functions(one.test))
    other = frozenset(name for one in changed if one not in same for name in _functions(one.test))
    return asked - other


def _patch_of(
    one: LitmusDifference, submission: Submission, changes: Sequence[SourceChange]
) -> tuple[int | None, tuple[str, ...]]:
    """Return the last patch that adds an event of a test or changes a function of it, and what it changes there."""
    places = [difference.rpartition(" at ")[2] for difference in one.differences if " at " in difference]
    mine = [change for change in changes if change.name in _functions(one.test)]
    for number in range(len(submission.mails), 0, -1):
        mail = submission.mails[number - 1]
        found = [quoted_at(file, {int(line)}, mail) for file, _, line in (p.rpartition(":") for p in places)]
        found += [quoted_change(change, mail) for change in mine]
        if any(found):
            return number, next(filter(None, found))
    return None, ()
