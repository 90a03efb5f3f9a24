# SPDX-License-Identifier: GPL-2.0-only
"""Applies and translates a series patch by patch, as far as it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pfncache.designs.design import Design
from pfncache.kernels.patch_mail import SeriesError
from pfncache.review.quote import quoted_change
from pfncache.review.report import FindingKind, PatchReview, PatchState, ReviewFinding
from pfncache.review.submission import Submission
from pfncache.series.change import SourceChange, Status
from pfncache.series.step import BaseKernel, SeriesStep
from pfncache.series.trees import KernelTree, with_series


@dataclass(frozen=True, kw_only=True)
class PatchStep:
    """The series up to one of its patches."""

    patch: PatchReview
    design: SeriesStep | Design | None = None
    """What is searched; None for what does not apply or does not parse."""
    tree: KernelTree | None = None
    """The files after the patch; None of a design in Python."""

    @property
    def is_searched(self) -> bool:
        """Whether there is anything that a search can say."""
        if isinstance(self.design, SeriesStep):
            return not self.design.refused and any(c.status is not Status.OUTSIDE for c in self.design.changes)
        return self.design is not None


def steps_of(submission: Submission) -> Iterator[PatchStep]:
    """Yield the series up to each patch, in their order."""
    return _of_design(submission.design) if submission.design is not None else _of_mails(submission)


def _of_design(design: Design) -> Iterator[PatchStep]:
    for number, prefix in enumerate(design.prefixes(), 1):
        patch = PatchReview(number=number, subject=prefix.title, files=(), state=PatchState.CHECKED)
        yield PatchStep(patch=patch, design=prefix)


def _of_mails(submission: Submission) -> Iterator[PatchStep]:
    base = submission.tree
    assert base is not None
    started = BaseKernel(base)
    failed, seen = 0, set[tuple[str, ...]]()
    for number, mail in enumerate(submission.mails, 1):
        patch = PatchReview(number=number, subject=mail.subject, files=tuple(mail.files), state=PatchState.CHECKED)
        if failed:
            why = f"patch {failed} does not apply"
            yield PatchStep(patch=replace(patch, state=PatchState.NOT_TRIED, reason=why))
            continue
        try:
            tree = with_series(base, submission.mails[:number])
        except SeriesError as error:
            failed = number
            yield PatchStep(patch=replace(patch, state=PatchState.NOT_APPLIED, reason=str(error)))
            continue
        try:
            step = started.step(tree, f"{submission.name}:{number}/{len(submission.mails)}", mail.subject)
        except SeriesError as error:
            yield PatchStep(patch=replace(patch, state=PatchState.NO_C, reason=str(error)), tree=tree)
            continue
        state = PatchState.REFUSED if step.refused else PatchState.CHECKED
        own = tuple(c for c in step.changes if c.name in mail.functions or _key(c) not in seen)
        seen |= {_key(change) for change in step.changes}
        patch = replace(patch, state=state, changes=step.changes, own_changes=own)
        yield PatchStep(patch=patch, design=step, tree=tree)


def _key(change: SourceChange) -> tuple[str, ...]:
    """Return what a change is, without where."""
    return change.kind, change.name, change.how, change.status, *change.barriers


def findings_of(steps: Sequence[PatchStep], submission: Submission) -> Iterator[ReviewFinding]:
    """Yield what there is to say of patches before anything is searched: each change with the patch that makes it."""
    seen: set[tuple[str, ...]] = set()
    for step in steps:
        patch = step.patch
        mail = submission.mail(patch.number)
        if patch.state is PatchState.NOT_APPLIED:
            yield ReviewFinding(
                kind=FindingKind.NOT_APPLIED, subject=patch.subject, patch=patch.number,
                text=f"{patch.reason} (on {submission.base})",
            )  # fmt: skip
        elif patch.state is PatchState.NO_C:
            yield ReviewFinding(
                kind=FindingKind.REFUSED, subject=patch.subject, patch=patch.number, text=patch.reason
            )  # fmt: skip
        for change in patch.changes:
            key = _key(change)
            kind = FindingKind.REFUSED if change.status is Status.REFUSED else FindingKind.UNSEEN
            if change.is_complete or key in seen:
                continue
            seen.add(key)
            quoted = quoted_change(change, mail) if mail is not None else ()
            yield ReviewFinding(
                kind=kind, subject=f"{change.name} {change.status}", patch=patch.number, place=change.place,
                text=_text(change), function=change.name if change.barriers else "", quoted=quoted,
            )  # fmt: skip
    last = steps[-1] if steps else None
    if last is not None and last.patch.changes and all(c.status is Status.OUTSIDE for c in last.patch.changes):
        places = ", ".join(dict.fromkeys(change.file for change in last.patch.changes))
        yield ReviewFinding(
            kind=FindingKind.OUTSIDE, subject="series", text=f"the series changes nothing that the model has: {places}"
        )
    elif last is not None and last.patch.state is PatchState.CHECKED and submission.mails and not last.patch.changes:
        yield ReviewFinding(kind=FindingKind.OUTSIDE, subject="series", text="the series changes no code")


def _text(change: SourceChange) -> str:
    if change.status is Status.REFUSED:
        return f"not translated: {change}"
    if change.barriers:
        names = ", ".join(change.barriers)
        return f"{names} added, dropped or moved in {change.name}(): a search does not see it, each step is a barrier"
    return f"not seen by a search: {change}"
