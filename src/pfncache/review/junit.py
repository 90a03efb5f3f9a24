# SPDX-License-Identifier: GPL-2.0-only
"""A review as JUnit's XML: a test case for each patch, and one for each stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache.review.report import PatchReview, ReviewFinding, ReviewReport, StageRecord, StageState, Weight
from pfncache.verify.trace import render

if TYPE_CHECKING:
    from junitparser import TestCase


def write_junit(report: ReviewReport, path: Path) -> None:
    """Write the XML. A fault is a failure of its patch; what could not be checked makes it skipped."""
    from junitparser import JUnitXml, TestCase, TestSuite  # noqa: PLC0415 (it is needed for this alone)

    suite = TestSuite(report.name)
    for patch in report.patches:
        suite.add_testcase(_case(patch, report))
    series = TestCase("series", report.name)
    _judge(series, report.of_patch(None))
    suite.add_testcase(series)
    for stage in report.stages:
        suite.add_testcase(_stage(stage, report.name))
    document = JUnitXml("pfncache review")
    document.add_testsuite(suite)
    try:
        document.write(str(path), pretty=True)
    except OSError as error:
        raise click.ClickException(f"--junit {path}: {error.strerror}") from None


def _case(patch: PatchReview, report: ReviewReport) -> TestCase:
    from junitparser import TestCase  # noqa: PLC0415

    case = TestCase(f"{patch.number}/{len(report.patches)} {patch.subject}", report.name)
    _judge(case, report.of_patch(patch.number))
    return case


def _judge(case: TestCase, findings: tuple[ReviewFinding, ...]) -> None:
    """Give a test case its result: one failure, or else skipped with what could not be checked."""
    from junitparser import Failure, Skipped  # noqa: PLC0415

    faults = [f for f in findings if f.weight is Weight.FAULT and not f.is_known]
    unknown = [f for f in findings if f.weight is Weight.UNKNOWN and not f.is_known]
    if faults:
        failure = Failure("; ".join(f.text for f in faults), ", ".join(dict.fromkeys(f.kind for f in faults)))
        failure.text = "\n\n".join(render(f.trace) if f.trace is not None else f.text for f in faults)
        case.result = [failure]
    elif unknown:
        case.result = Skipped("; ".join(f.text for f in unknown))


def _stage(stage: StageRecord, name: str) -> TestCase:
    from junitparser import Error, Skipped, TestCase  # noqa: PLC0415

    case = TestCase(f"stage {stage.name}", name, stage.seconds)
    if stage.state in (StageState.FAILED, StageState.INTERRUPTED):
        case.result = Error(f"{stage.state}: {stage.text}", stage.state)
    elif stage.state is StageState.SKIPPED:
        case.result = Skipped(stage.text)
    return case
