# SPDX-License-Identifier: GPL-2.0-only
"""Litmus tests whose C a series changes: what the memory model says of them with the series and without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

from pfncache.litmus.affected import LitmusChange, affected
from pfncache.litmus.catalogue import LITMUS_TESTS
from pfncache.litmus.herd import HerdError, find
from pfncache.litmus.observe import MODEL, MemoryModel
from pfncache.litmus.protocol import LitmusTest, LitmusVerdict
from pfncache.litmus.session import UNANSWERED
from pfncache.litmus.source import KernelSource
from pfncache.review.quote import quoted_at, quoted_change
from pfncache.review.report import FindingKind, ReviewFinding, Weight
from pfncache.review.stages import StageSkipped
from pfncache.review.submission import Submission
from pfncache.series.change import SourceChange


def _weight(change: LitmusChange) -> Weight | None:
    """Return what a change says: worse is a fault, no answer any more is unknown, anything else is a note.

    A test that is broken and said nothing of the base says little of the series.
    """
    before, after = change.before.verdict, change.after.verdict
    if after in UNANSWERED:
        return Weight.NOTE if before in UNANSWERED else Weight.UNKNOWN
    if before in UNANSWERED:
        return Weight.UNKNOWN if after is LitmusVerdict.BROKEN else Weight.NOTE
    return None if change.is_worse else Weight.NOTE


def litmus_tests_of(functions: frozenset[str]) -> list[LitmusTest]:
    """Return the tests that abstract one of these functions."""
    return [test for test in LITMUS_TESTS.values() if functions & _functions(test)]


def _functions(test: LitmusTest) -> set[str]:
    slices = [part for thread in test.threads for part in thread.slices]
    return {f.name for part in slices for f in (part.function, *part.inline.values())}


def changes_of(submission: Submission, tests: Sequence[LitmusTest], stopped: Event) -> list[LitmusChange]:
    """Ask about the tests whose events differ, with the series and without it. Raises StageSkipped."""
    assert submission.source is not None
    if not tests:
        return []
    model = _model(submission.source, stopped)
    with KernelSource(submission.source) as old, KernelSource(submission.source, submission.mails) as new:
        return list(affected(old, new, model, tests=tests, processes=1).changes)


def _model(source: Path, stopped: Event) -> MemoryModel:
    found = find()
    if found is None:
        raise StageSkipped("herd7 is not here; `pfncache litmus` fetches it")
    try:
        return MemoryModel(found, source / MODEL, stopped)
    except HerdError as error:
        raise StageSkipped(str(error)) from None


def findings_of(
    changed: Sequence[LitmusChange], submission: Submission, changes: Sequence[SourceChange]
) -> Iterator[ReviewFinding]:
    """Yield a finding for each test whose events are others: what the memory model says of it now.

    `changes` are what the series changes, to find the patch.
    """
    for one in changed:
        before, after = one.before.verdict, one.after.verdict
        words = f"{before} without the series" if after is not before else "as without the series"
        patch, quoted = _patch_of(one, submission, changes)
        races = [f"data race: {f.event} in {f.event.function}(), {f.event.place}" for f in one.new_races]
        yield ReviewFinding(
            kind=FindingKind.LITMUS, subject=one.name, patch=patch, quoted=quoted, own_weight=_weight(one),
            text=f"litmus test {one.name}: {after}, {words}; it is about: {one.after.test.protects}",
            details=(*(one.after.reasons or one.differences), *races),
        )  # fmt: skip


def seen_by(changed: Sequence[LitmusChange]) -> frozenset[str]:
    """Return the functions whose barriers a test has asked about, with the same answer as without the series."""
    same = [o for o in changed if o.after.verdict is o.before.verdict and o.after.verdict not in UNANSWERED]
    asked = frozenset(name for one in same for name in _functions(one.after.test))
    other = frozenset(name for one in changed if one not in same for name in _functions(one.after.test))
    return asked - other


def _patch_of(
    one: LitmusChange, submission: Submission, changes: Sequence[SourceChange]
) -> tuple[int | None, tuple[str, ...]]:
    """Return the last patch that adds an event of a test or changes a function of it, and what it changes there."""
    places = [difference.rpartition(" at ")[2] for difference in one.differences if " at " in difference]
    mine = [change for change in changes if change.name in _functions(one.after.test)]
    for number in range(len(submission.mails), 0, -1):
        mail = submission.mails[number - 1]
        found = [quoted_at(file, {int(line)}, mail) for file, _, line in (p.rpartition(":") for p in places)]
        found += [quoted_change(change, mail) for change in mine]
        if any(found):
            return number, next(filter(None, found))
    return None, ()
