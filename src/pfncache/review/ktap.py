# SPDX-License-Identifier: GPL-2.0-only
"""A review as KTAP: a test for each patch, one for the whole series, and one for each stage."""

from __future__ import annotations

from collections.abc import Sequence

from pfncache.review.report import ReviewFinding, ReviewReport, StageRecord, StageState, Weight
from pfncache.selftests.ktap import Directive, Line, header


def ktap(report: ReviewReport) -> str:
    """Return the report. A fault is not ok; what could not be checked, and a stage that was left out, is skipped."""
    total = len(report.patches)
    lines = [_line(f"{p.number}/{total} {p.subject}", report.of_patch(p.number)) for p in report.patches]
    lines += [_line("series", report.of_patch(None)), *(_stage(stage) for stage in report.stages)]
    return "\n".join([header(len(lines)), *(line.render(number, 0) for number, line in enumerate(lines, 1))])


def _line(name: str, findings: Sequence[ReviewFinding]) -> Line:
    faults = [f.text for f in findings if f.weight is Weight.FAULT and not f.is_known]
    unknown = [f.text for f in findings if f.weight is Weight.UNKNOWN and not f.is_known]
    if faults:
        return Line(name, False, notes=faults)
    return Line(name, True, Directive.SKIP, "; ".join(unknown)) if unknown else Line(name, True)


def _stage(stage: StageRecord) -> Line:
    name = f"stage {stage.name}"
    if stage.state in (StageState.FAILED, StageState.INTERRUPTED):
        return Line(name, False, Directive.ERROR, f"{stage.state}: {stage.text}")
    if stage.state is StageState.SKIPPED:
        return Line(name, True, Directive.SKIP, stage.text)
    return Line(name, True)
