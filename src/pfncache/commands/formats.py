# SPDX-License-Identifier: GPL-2.0-only
"""The outcomes of verify as KTAP and as JUnit's XML, for the tools of CI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache.check.verdict import Verdict
from pfncache.selftests.ktap import Directive, Line, header
from pfncache.verify.comparison import Comparison
from pfncache.verify.design_outcome import DesignOutcome, DesignVerdict
from pfncache.verify.trace import render

if TYPE_CHECKING:
    from junitparser import TestCase

SKIPPED = frozenset({Verdict.VACUOUS, Verdict.BOUNDED, Verdict.NOT_APPLICABLE})
"""Verdicts of scenarios that say nothing."""


def ktap(designs: Sequence[DesignOutcome]) -> str:
    """Return a group of tests for each design, a test for each scenario.

    What the base violates too is an expected failure, and what was not searched to its end is skipped.
    """
    parts = [header(len(designs))]
    for number, design in enumerate(designs, 1):
        parts.append(header(len(design.outcomes), 1, design.design))
        lines = [_line(design, comparison) for comparison in design.comparisons]
        parts += [line.render(count, 1) for count, line in enumerate(lines, 1)]
        ok = design.verdict != DesignVerdict.VIOLATED and design.count(Verdict.LOST) == 0
        skipped = ok and all(line.directive == Directive.SKIP for line in lines)
        parts.append(Line(design.design, ok, Directive.SKIP if skipped else Directive.NONE).render(number, 0))
    return "\n".join(parts)


def _line(design: DesignOutcome, comparison: Comparison) -> Line:
    outcome = comparison.outcome
    if comparison.new:
        return Line(outcome.scenario, False, notes=[f"{v.property}: {v.reason}" for v in comparison.new])
    if outcome.violations and not outcome.limit:
        reason = ", ".join(dict.fromkeys(v.property for v in outcome.violations))
        return Line(outcome.scenario, True, Directive.XFAIL, f"{reason}, as {design.base}")
    if outcome.verdict in SKIPPED or outcome.violations:
        return Line(outcome.scenario, True, Directive.SKIP, f"{outcome.verdict}: {outcome.limit}")
    if outcome.verdict == Verdict.LOST:
        return Line(outcome.scenario, False, Directive.ERROR, outcome.limit)
    return Line(outcome.scenario, True)


def write_junit(designs: Sequence[DesignOutcome], path: Path) -> None:
    """Write a test suite for each design, a test case for each scenario, with the traces of new violations."""
    from junitparser import JUnitXml, TestSuite

    document = JUnitXml("pfncache verify")
    for design in designs:
        suite = TestSuite(design.design)
        for comparison in design.comparisons:
            suite.add_testcase(_case(design, comparison))
        document.add_testsuite(suite)
    try:
        document.write(str(path), pretty=True)
    except OSError as error:
        raise click.ClickException(f"--junit {path}: {error.strerror}") from None


def _case(design: DesignOutcome, comparison: Comparison) -> TestCase:
    from junitparser import Error, Failure, Skipped, TestCase

    outcome = comparison.outcome
    case = TestCase(outcome.scenario, design.design, outcome.seconds)
    if comparison.new:  # one failure, as a suite has no more failures than tests
        properties = dict.fromkeys(v.property for v in comparison.new)
        failure = Failure("; ".join(v.reason for v in comparison.new), ", ".join(properties))
        failure.text = "\n\n".join(render(v.trace) if v.trace is not None else v.reason for v in comparison.new)
        case.result = [failure]
    if not comparison.new and outcome.violations and not outcome.limit:
        names = ", ".join(dict.fromkeys(v.property for v in outcome.violations))
        case.system_out = f"violated as under {design.base}: {names}"
    elif outcome.verdict in SKIPPED or (not comparison.new and outcome.violations):
        case.result = Skipped(f"{outcome.verdict}: {outcome.limit}")
    elif outcome.verdict == Verdict.LOST:
        case.result = Error(outcome.limit, "lost")
    return case
