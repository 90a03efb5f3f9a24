# SPDX-License-Identifier: GPL-2.0-only
"""The report as text that can be pasted into an answer: quoted lines of a patch, each with what was found."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

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
from pfncache.verify.design_outcome import DesignVerdict
from pfncache.verify.trace import render

COLUMNS = 72
MAX_CHANGES = 20
"""Changed functions of a patch that are named at most."""
SAID = {
    ReviewVerdict.HOLDS: "nothing wrong was found",
    ReviewVerdict.INCOMPLETE: "nothing wrong was found, but not all could be checked",
    ReviewVerdict.FAULTY: "the series is wrong",
}


def render_reply(report: ReviewReport, *, command: str = "", all_traces: bool = False) -> str:
    """Return the report as text, with the shortest trace of each patch, or all.

    `command` is that of the review, to which the scenario of a trace is added: it shows the trace again.
    """
    shown = list(report.findings) if all_traces else list(_shortest(report))
    return "\n".join(_lines(report, shown, command)).rstrip() + "\n"


def _shortest(report: ReviewReport) -> Iterator[ReviewFinding]:
    """Yield the finding with the shortest trace of each patch."""
    for patch in report.patches:
        found = [f for f in report.of_patch(patch.number) if f.trace is not None]
        if found:
            yield min(found, key=lambda f: len(f.trace.rows) if f.trace is not None else 0)


def _lines(report: ReviewReport, traced: Sequence[ReviewFinding], command: str) -> Iterator[str]:
    yield from _wrapped(f"{report.title}, on {report.base}: {said(report)}.")
    yield from (line for note in report.notes for line in _wrapped(f"({note})"))
    yield ""
    for patch in report.patches:
        yield from _patch(patch, report)
    yield ""
    for patch in report.patches:
        last: tuple[str, ...] = ()
        for finding in _serious(report.of_patch(patch.number)):
            quoted = finding.quoted if finding.quoted != last else ()
            yield from _finding(finding, quoted, _subject(patch, report), has_trace=finding in traced)
            if command and finding in traced and finding.scenario:
                yield from ("To see it again:", f"  {command} -s {shlex.quote(finding.scenario)}", "")
            last = finding.quoted
    for finding in _serious(report.of_patch(None)):
        yield from _finding(finding, (), "", has_trace=finding in traced)
    yield from _notes(report)
    yield from _checked(report)


def said(report: ReviewReport) -> str:
    """Return the verdict in words."""
    faults = {f.kind for f in report.findings if f.weight is Weight.FAULT and not f.is_known}
    if faults == {FindingKind.BISECTION}:
        return "right as a whole and wrong when it is bisected"
    if report.verdict is ReviewVerdict.INCOMPLETE and not report.scenarios:
        return "it could not be checked"
    text = SAID[report.verdict]
    is_known = any(finding.is_known for finding in report.findings)
    return text.replace("nothing wrong", "nothing new") if is_known else text


def _serious(findings: Sequence[ReviewFinding]) -> list[ReviewFinding]:
    """Return what is no note."""
    return [finding for finding in findings if finding.weight is not Weight.NOTE]


def _subject(patch: PatchReview, report: ReviewReport) -> str:
    return f"{patch.number}/{len(report.patches)} {patch.subject.removesuffix('.')}"


def _notes(report: ReviewReport) -> Iterator[str]:
    """Yield what is no fault, and what an earlier review had found: a line each."""
    lines = [f"Gone: {text}." for text in report.gone]
    for finding in report.findings:
        if finding.weight is Weight.NOTE:
            patch = f"{finding.patch}/{len(report.patches)}: " if finding.patch is not None else ""
            lines.append(f"{patch}{finding.text}.")
    if lines:
        yield "Notes:"
        yield from (part for line in lines for part in _wrapped(line, first="* ", indent=2))
        yield ""


def _patch(patch: PatchReview, report: ReviewReport) -> Iterator[str]:
    """Yield a line on a patch, and what it is that it changes."""
    yield from _wrapped(f"{_subject(patch, report)}: {_state(patch, report)}", indent=4)
    for status in Status:
        names = [_name(change) for change in patch.own_changes if change.status is status]
        if names:
            more = f" and {len(names) - MAX_CHANGES} more" if len(names) > MAX_CHANGES else ""
            text = f"{status}: {', '.join(dict.fromkeys(names[:MAX_CHANGES]))}{more}"
            yield from _wrapped(text, first="    ", indent=6)


def _state(patch: PatchReview, report: ReviewReport) -> str:
    if patch.state is not PatchState.CHECKED:
        return f"{patch.state}{f', {patch.reason}' if patch.state is PatchState.NOT_TRIED else ''}"
    if patch.verdict is None:
        return "applies, not searched"
    faults = {f.kind for f in report.of_patch(patch.number)} & {FindingKind.VIOLATION, FindingKind.BISECTION}
    if patch.verdict is DesignVerdict.VIOLATED and not faults:
        return "violated by an earlier patch, nothing more"
    return f"{patch.verdict}, {patch.new} new, {patch.unchanged} unchanged, {patch.cured} cured"


def _name(change: SourceChange) -> str:
    return f"{change.name}()" if change.kind == ItemKind.FUNCTION else change.name


def _finding(finding: ReviewFinding, quoted: Sequence[str], subject: str, *, has_trace: bool) -> Iterator[str]:
    if quoted:
        yield f"> {subject}"
        yield from (f"> {line}" for line in quoted)
        yield ""
    where = f"{finding.patch}: " if finding.patch is not None and not finding.quoted else ""
    known = " (known)" if finding.is_known else ""
    is_said = finding.text.startswith("not ") or finding.kind is FindingKind.NOT_APPLIED
    mark = "not checked: " if finding.weight is Weight.UNKNOWN and not is_said else ""
    trace = finding.trace if has_trace else None
    colon = ":" if trace is not None else "."
    yield from _wrapped(f"{where}{mark}{finding.text}{known}{colon}")
    yield from (line for detail in finding.details for line in _wrapped(detail, first="  ", indent=2))
    if trace is not None:
        yield ""
        yield render(trace, COLUMNS)
    elif finding.trace is not None:
        yield from _wrapped(f"{finding.trace.reason} (--all-traces shows how)", first="  ", indent=2)
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
