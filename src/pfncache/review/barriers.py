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
from pfncache.review.quote import quoted_function
from pfncache.review.report import FindingKind, ReviewFinding, Weight
from pfncache.review.stages import StageFailed, StageSkipped
from pfncache.review.submission import Submission

UNASKED = (LitmusVerdict.OUT_OF_DATE, LitmusVerdict.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class LitmusChange:
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


def affected(functions: frozenset[str]) -> list[LitmusTest]:
    """Return the tests that abstract one of these functions."""
    return [test for test in LITMUS_TESTS.values() if functions & _functions(test)]


def _functions(test: LitmusTest) -> set[str]:
    slices = [part for thread in test.threads for part in thread.slices]
    return {f.name for part in slices for f in (part.function, *part.inline.values())}


def changes_of(submission: Submission, tests: Sequence[LitmusTest], stopped: Event) -> list[LitmusChange]:
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


def _asked(before: Fitted, after: Fitted, model: MemoryModel) -> LitmusChange:
    try:
        first, second = (judge(fitted, model, with_variants=False) for fitted in (before, after))
    except HerdError as error:
        raise StageFailed(f"{after.test.name}: {error}") from None
    return LitmusChange(
        test=after.test, before=first.verdict, after=second.verdict,
        differences=second.reasons or tuple(d for d in second.differences if d not in first.differences),
    )  # fmt: skip


def findings_of(changes: Sequence[LitmusChange], submission: Submission) -> Iterator[ReviewFinding]:
    """Yield a finding for each test of which the memory model says something else, or says nothing any more."""
    for change in changes:
        if change.after is change.before:
            continue
        weight = None if change.is_worse else Weight.UNKNOWN if change.after in UNASKED else Weight.NOTE
        patch, quoted = _patch_of(change.test, submission)
        yield ReviewFinding(
            kind=FindingKind.LITMUS, subject=change.test.name, patch=patch, quoted=quoted, own_weight=weight,
            text=f"litmus test {change.test.name}: {change.after}, {change.before} without the series; "
            f"it is about: {change.test.protects}",
            details=change.differences,
        )  # fmt: skip


def _patch_of(test: LitmusTest, submission: Submission) -> tuple[int | None, tuple[str, ...]]:
    """Return the last patch that touches a function of a test, and what it changes there."""
    slices = [part for thread in test.threads for part in thread.slices]
    functions = {f for part in slices for f in (part.function, *part.inline.values())}
    for number in range(len(submission.mails), 0, -1):
        for file, name in sorted(functions):
            mail = submission.mail(number)
            quoted = quoted_function(file, name, mail) if mail is not None else ()
            if quoted:
                return number, quoted
    return None, ()
