# SPDX-License-Identifier: GPL-2.0-only
"""Which patch breaks what, and what of it is left at the end of the series: by outcomes of our own."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.review.report import FindingKind
from pfncache.review.submission import Submission
from pfncache.review.verdicts import findings_of
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.trace import Trace, TraceRow

SUBMISSION = Submission(name="s", title="t")
HOLDS = Outcome(scenario="gpc/a", verdict=Verdict.HOLDS)
UNKNOWN = Outcome.bounded("gpc/a", reason="interrupted before it was searched")


def violated(*names: str, scenario: str = "gpc/a") -> Outcome:
    row = TraceRow(cpu=0, actor="vcpu", function="f", source="virt/kvm/pfncache.c:7", text="use();", changes=())
    trace = Trace(actors=("vcpu",), rows=(row,), reason="why")
    violations = tuple(Violation(property=name, reason="why", trace=trace) for name in names)
    return Outcome(scenario=scenario, verdict=Verdict.VIOLATED, violations=violations)


def series(*steps: Outcome, base: Outcome = HOLDS) -> dict[int, DesignOutcome]:
    """The outcomes after each patch."""
    return {
        number: DesignOutcome(design=f"s:{number}", title="t", outcomes=[o], base="b", base_outcomes={"gpc/a": base})
        for number, o in enumerate(steps, 1)
    }


def told(found: dict[int, DesignOutcome]) -> list[tuple[str, int | None, str]]:
    return [(f.kind.value, f.patch, f.text) for f in findings_of(found, SUBMISSION, max(found))]


def test_the_first_patch_that_breaks_is_blamed_once() -> None:
    assert told(series(HOLDS, violated("leak"), violated("leak"))) == [
        ("violation", 2, "leak in gpc/a, which nothing does not have")
    ]


def test_a_patch_behind_one_that_was_not_searched() -> None:
    found = series(HOLDS, violated("leak"))
    del found[1]
    (finding,) = findings_of(found, SUBMISSION, 2)
    assert (finding.patch, finding.details) == (2, ("it may be of patch 1 already, which was not searched",))


def test_what_a_later_patch_cures() -> None:
    assert told(series(violated("leak"), violated("leak"), HOLDS)) == [
        ("bisection", 1, "leak in gpc/a until patch 3, so a bisection can meet it")
    ]


@pytest.mark.parametrize("end", [UNKNOWN, violated("warn-on")])
def test_what_is_not_known_at_the_end_is_no_cure(end: Outcome) -> None:
    first = told(series(violated("leak"), end))[0]
    assert first == (
        "violation", 1, "leak in gpc/a, which nothing does not have; whether the whole series has it is not known",
    )  # fmt: skip


def test_what_the_base_has_too_is_no_finding() -> None:
    assert told(series(violated("leak"), violated("leak"), base=violated("leak"))) == []


def test_what_the_series_cures() -> None:
    assert told(series(violated("leak"), HOLDS, base=violated("leak"))) == [
        (FindingKind.CURED.value, None, "the series cures leak in gpc/a")
    ]


def test_what_did_not_end_is_named() -> None:
    assert told(series(UNKNOWN)) == [
        ("unsearched", None, "gpc/a: bounded: interrupted before it was searched")
    ]  # fmt: skip
