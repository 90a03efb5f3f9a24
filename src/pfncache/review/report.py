# SPDX-License-Identifier: GPL-2.0-only
"""The report of a review, as data: findings, patches and stages. Every form that it is shown in is made of this."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pfncache.series.change import SourceChange
from pfncache.verify.design_outcome import DesignVerdict
from pfncache.verify.trace import Trace


class Weight(StrEnum):
    """What a finding says of a series, from the worst to the least."""

    FAULT = "fault"
    """The series is wrong."""
    UNKNOWN = "unknown"
    """Something of the series could not be checked."""
    NOTE = "note"
    """A reviewer should know; it is no fault."""


class FindingKind(StrEnum):
    """What a finding is about. The values are those of the JSON schema."""

    VIOLATION = "violation"
    """A property that the series violates and its base does not."""
    BISECTION = "bisection"
    """A property that is violated between two patches of the series, and not after the last one."""
    BUILD = "build"
    """The kernel does not compile."""
    SELFTEST = "selftest"
    """The kernel with the series does not behave as its C does under the model."""
    LITMUS = "litmus"
    """The memory model says something else of a litmus test than of the base."""
    NOT_APPLIED = "not-applied"
    REFUSED = "refused"
    """A change that cannot be translated."""
    UNSEEN = "unseen"
    """A change of what the model has, which no search sees."""
    UNSEARCHED = "unsearched"
    """A scenario that was not searched to its end, or is vacuous."""
    OUTSIDE = "outside"
    """The series changes nothing that the model has."""
    CURED = "cured"
    """A property that the base violates and the series does not."""
    UNREACHED = "unreached"
    """A changed line that no scenario of the review has reached."""
    COST = "cost"
    """What an operation costs, or which memory an access reaches, has changed."""


WEIGHTS = {
    FindingKind.VIOLATION: Weight.FAULT,
    FindingKind.BISECTION: Weight.FAULT,
    FindingKind.BUILD: Weight.FAULT,
    FindingKind.SELFTEST: Weight.FAULT,
    FindingKind.LITMUS: Weight.FAULT,
    FindingKind.NOT_APPLIED: Weight.UNKNOWN,
    FindingKind.REFUSED: Weight.UNKNOWN,
    FindingKind.UNSEEN: Weight.UNKNOWN,
    FindingKind.UNSEARCHED: Weight.UNKNOWN,
    FindingKind.OUTSIDE: Weight.UNKNOWN,
    FindingKind.CURED: Weight.NOTE,
    FindingKind.UNREACHED: Weight.NOTE,
    FindingKind.COST: Weight.NOTE,
}
"""The weight of a finding of a kind, unless it has another one of its own."""


@dataclass(frozen=True, kw_only=True)
class ReviewFinding:
    """Something that a reviewer would write below a line of a patch."""

    kind: FindingKind
    subject: str
    """What it is about, without line numbers: the same in two versions of a series if the finding is the same."""
    text: str
    """What was found, in a sentence."""
    patch: int | None = None
    """The number of the patch; None for the whole series."""
    place: str = ""
    """file:line, after the patch."""
    quoted: tuple[str, ...] = ()
    """Lines of the patch that it is about, as in the diff."""
    details: tuple[str, ...] = ()
    """What else there is to say, a line each."""
    function: str = ""
    """The function whose barriers it is about."""
    violated: str = ""
    """Of a violation: the property."""
    scenario: str = ""
    """Of a violation: where its shortest trace was found."""
    trace: Trace | None = None
    own_weight: Weight | None = None
    """The weight, if it is not that of the kind."""
    is_known: bool = False
    """An earlier review had it, too: it does not count."""

    @property
    def weight(self) -> Weight:
        """What it says of the series."""
        return self.own_weight or WEIGHTS[self.kind]

    @property
    def identity(self) -> tuple[str, str]:
        """What it has in common with the same finding of another version of the series."""
        return self.kind.value, self.subject


class PatchState(StrEnum):
    """How far a patch came."""

    CHECKED = "checked"
    """It applies and is translated; its verdict, if there is one, is of the series up to it."""
    REFUSED = "refused"
    """It applies; a change of the series up to it cannot be translated."""
    NO_C = "no C"
    """It applies; the files do not parse."""
    NOT_APPLIED = "does not apply"
    NOT_TRIED = "not tried"
    """An earlier patch does not apply."""


@dataclass(frozen=True, kw_only=True)
class PatchReview:
    """One patch of the series."""

    number: int
    subject: str
    files: tuple[str, ...]
    state: PatchState
    reason: str = ""
    """Why it is not checked."""
    changes: tuple[SourceChange, ...] = ()
    """Of the series up to it, against the base."""
    verdict: DesignVerdict | None = None
    """Of the series up to it, against the base; None if it was not searched."""
    own_changes: tuple[SourceChange, ...] = ()
    """Those that the patch itself makes, or makes once more."""
    new: int = 0
    """Violations of the series up to it that the base does not have."""
    unchanged: int = 0
    cured: int = 0


class StageState(StrEnum):
    """How a stage of the review ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It was left out; the reason says why."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A stage of the review."""

    name: str
    state: StageState
    text: str = ""
    """What was done, or why it was not."""
    seconds: float = 0.0
    is_wanted: bool = True
    """Whether the user has asked for it, so that without it the review is incomplete."""


class ReviewVerdict(StrEnum):
    """The verdict on a series, from the best to the worst."""

    HOLDS = "holds"
    """Nothing wrong was found, and every stage that was asked for has ended."""
    INCOMPLETE = "incomplete"
    FAULTY = "faulty"


@dataclass(frozen=True, kw_only=True)
class ReviewReport:
    """All that is known of a series."""

    name: str
    title: str
    base: str
    """What it was applied to, in words."""
    version: int = 1
    """Of the series: 4 for [PATCH v4 1/7]."""
    notes: tuple[str, ...] = ()
    """On the mails: what was left out, or is missing."""
    patches: tuple[PatchReview, ...] = ()
    findings: tuple[ReviewFinding, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    scenarios: int = 0
    """Number of scenarios that were searched, or have the base's outcome."""
    unaffected: int = 0
    """Number of these that run nothing that the series changes."""
    states: int = 0
    gone: tuple[str, ...] = ()
    """Findings of an earlier review that this one does not have, in words."""

    @property
    def verdict(self) -> ReviewVerdict:
        """Faulty with a fault that is not known; holds only if nothing is unknown and no stage is missing."""
        weights = {finding.weight for finding in self.findings if not finding.is_known}
        if Weight.FAULT in weights:
            return ReviewVerdict.FAULTY
        missing = any(stage.state is not StageState.DONE and stage.is_wanted for stage in self.stages)
        return ReviewVerdict.INCOMPLETE if Weight.UNKNOWN in weights or missing else ReviewVerdict.HOLDS

    def of_patch(self, number: int | None) -> tuple[ReviewFinding, ...]:
        """Return the findings of a patch, or those of the whole series."""
        return tuple(finding for finding in self.findings if finding.patch == number)
