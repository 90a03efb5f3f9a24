# SPDX-License-Identifier: GPL-2.0-only
"""The report as text that can be pasted into an answer to the series: quoted lines, each with what was found, 72 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pfncache.review.report import (
    FindingKind,
    PatchReview,
    PatchState,
    ReviewFinding,
    ReviewReport,
    ReviewVerdict,
    StageState,
    Weight,
)
from pfncache.series.change import ItemKind, SourceChange, Status
from pfncache.verify.trace import render

COLUMNS = 72
MAX_CHANGES = 20
"""Changed functions of a patch that are named at most."""
SAID = {
    ReviewVerdict.HOLDS: "nothing wrong was found",
    ReviewVerdict.INCOMPLETE: "nothing wrong was found, but not all could be checked",
    ReviewVerdict.FAULTY: "the series is wrong",
}


def render_reply(report: ReviewReport, *, traces: bool = True) -> str:
    """Return the report as text; without `traces`, only what they show."""
    return "\n".join(_lines(report, traces)).rstrip() + "\n"


def _lines(report: ReviewReport, traces: bool) -> Iterator[str]:
    yield from _wrapped(f"{report.title}: {SAID[report.verdict]} on {report.base}.")
    yield from (line for note in report.notes for line in _wrapped(f"({note})"))
    yield ""
    for patch in report.patches:
        yield from _patch(patch, report)
    yield ""
    for number in (*(patch.number for patch in report.patches), None):
        patches = {patch.number: patch for patch in report.patches}
        subject = f"{number}/{len(patches)} {patches[number].subject}" if number is not None else ""
        for finding in report.of_patch(number):
            yield from _finding(finding, subject, traces)
    for text in report.gone:
        yield from _wrapped(f"No more: {text}")
    if report.gone:
        yield ""
    yield from _checked(report)


def _patch(patch: PatchReview, report: ReviewReport) -> Iterator[str]:
    """Yield a line on a patch, and what it is that it changes."""
    yield from _wrapped(f"{patch.number}/{len(report.patches)} {patch.subject}: {_state(patch)}", indent=4)
    before = {c for p in report.patches if p.number < patch.number for c in p.changes}
    mine = [change for change in patch.changes if change not in before]
    for status in Status:
        names = [_name(change) for change in mine if change.status is status]
        if names:
            more = f" and {len(names) - MAX_CHANGES} more" if len(names) > MAX_CHANGES else ""
            text = f"{status}: {', '.join(dict.fromkeys(names[:MAX_CHANGES]))}{more}"
            yield from _wrapped(text, first="    ", indent=6)


def _state(patch: PatchReview) -> str:
    if patch.state is not PatchState.CHECKED:
        return f"{patch.state}{f', {patch.reason}' if patch.state is PatchState.NOT_TRIED else ''}"
    if patch.verdict is None:
        return "applies, not searched"
    return f"{patch.verdict}, {patch.new} new, {patch.unchanged} unchanged, {patch.cured} cured"


def _name(change: SourceChange) -> str:
    return f"{change.name}()" if change.kind == ItemKind.FUNCTION else change.name


def _finding(finding: ReviewFinding, subject: str, traces: bool) -> Iterator[str]:
    if finding.quoted:
        yield f"> {subject}"
        yield from (f"> {line}" for line in finding.quoted)
        yield ""
    where = f"{finding.patch}: " if finding.patch is not None and not finding.quoted else ""
    known = " (known)" if finding.is_known else ""
    mark = {Weight.FAULT: "", Weight.UNKNOWN: "not checked: ", Weight.NOTE: "note: "}[finding.weight]
    redundant = finding.text.startswith(("not ", "note")) or finding.kind is FindingKind.NOT_APPLIED
    colon = ":" if finding.trace is not None and traces else "."
    yield from _wrapped(f"{where}{'' if redundant else mark}{finding.text}{known}{colon}")
    yield from (line for detail in finding.details for line in _wrapped(detail, first="  ", indent=2))
    if finding.trace is not None and traces:
        yield ""
        yield render(finding.trace, COLUMNS)
    yield ""


def _checked(report: ReviewReport) -> Iterator[str]:
    """Yield what was checked and what was not, each stage with its time."""
    if report.scenarios:
        count = f"{report.scenarios} scenario{'s' * (report.scenarios != 1)}"
        searched = f"{count}, {report.unaffected} of which run nothing that the series changes"
        yield from _wrapped(f"Searched: {searched}; {report.states:,} states.")
    for stage in report.stages:
        state = "" if stage.state is StageState.DONE else f"{stage.state}: "
        seconds = f" ({stage.seconds:.1f} s)" if stage.seconds else ""
        yield from _wrapped(f"{stage.name}: {state}{stage.text}{seconds}", indent=2)


def _wrapped(text: str, *, first: str = "", indent: int = 0) -> list[str]:
    """Return the lines of a text; a word that is too long stays whole."""
    return textwrap.wrap(
        text, COLUMNS, initial_indent=first, subsequent_indent=" " * indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
