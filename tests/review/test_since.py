# SPDX-License-Identifier: GPL-2.0-only
"""--since and --junit: what an earlier review had found, and the report for the tools of CI."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from pfncache.review.document import document
from pfncache.review.junit import write_junit
from pfncache.review.ktap import ktap
from pfncache.review.reply import render_reply
from pfncache.review.report import (
    FindingKind,
    PatchReview,
    PatchState,
    ReviewFinding,
    ReviewReport,
    ReviewVerdict,
    StageRecord,
    StageState,
)
from pfncache.review.since import Earlier
from pfncache.verify.run_record import RunRecord
from tests.review.conftest import Review, checked

LEAK = ReviewFinding(kind=FindingKind.VIOLATION, subject="leak in f()", text="leak in gpc/a", patch=1)
RACE = ReviewFinding(kind=FindingKind.VIOLATION, subject="race in g()", text="use-after-free in gpc/b", patch=2)
NOTE = ReviewFinding(kind=FindingKind.UNREACHED, subject="f()", text="f(): line 7 of a.c not reached", patch=2)
PATCHES = tuple(
    PatchReview(number=number, subject=f"KVM: {number}", files=("a.c",), state=PatchState.CHECKED) for number in (1, 2)
)
STAGES = (
    StageRecord(name="verdicts", state=StageState.DONE, text="2 of 2 patches", seconds=1.5),
    StageRecord(name="kernel build", state=StageState.SKIPPED, text="--no-kernel", is_wanted=False),
)


def report(*findings: ReviewFinding) -> ReviewReport:
    return ReviewReport(name="s", title="KVM: s", base="Linux 7.3.4", patches=PATCHES, findings=findings, stages=STAGES)


@pytest.fixture
def earlier(tmp_path: Path) -> Earlier:
    """A review that had found a leak, and a note."""
    path = tmp_path / "earlier.json"
    path.write_text(json.dumps(document(report(LEAK, NOTE), RunRecord(version="1"))))
    return Earlier.read(path)


def test_what_an_earlier_review_has_found_counts_no_more(earlier: Earlier) -> None:
    found = earlier.compared(report(replace(LEAK, text="leak in gpc/c", patch=2), NOTE))
    assert [f.is_known for f in found.findings] == [True, False]
    assert (found.verdict, found.gone) == (ReviewVerdict.HOLDS, ())
    assert render_reply(found).startswith("KVM: s, on Linux 7.3.4: nothing new was found.\n")


def test_what_is_new_counts_and_what_is_gone_is_said(earlier: Earlier) -> None:
    found = earlier.compared(report(RACE))
    assert (found.verdict, found.gone) == (ReviewVerdict.FAULTY, ("leak in gpc/a",))
    text = render_reply(found)
    assert "2: use-after-free in gpc/b.\n" in text
    assert "Notes:\n* Gone: leak in gpc/a.\n" in text


def test_junit_has_a_case_for_each_patch_and_stage(tmp_path: Path) -> None:
    write_junit(report(RACE, NOTE), tmp_path / "report.xml")
    cases = ET.parse(tmp_path / "report.xml").getroot().iter("testcase")
    found = [(case.get("name"), [child.tag for child in case]) for case in cases]
    assert found == [
        ("1/2 KVM: 1", []),
        ("2/2 KVM: 2", ["failure"]),
        ("series", []),
        ("stage verdicts", []),
        ("stage kernel build", ["skipped"]),
    ]


def test_ktap_has_a_line_for_each_patch_and_stage() -> None:
    assert ktap(report(RACE, NOTE)).splitlines() == [
        "KTAP version 1",
        "1..5",
        "ok 1 1/2 KVM: 1",
        "# use-after-free in gpc/b",
        "not ok 2 2/2 KVM: 2",
        "ok 3 series",
        "ok 4 stage verdicts",
        "ok 5 stage kernel build # SKIP --no-kernel",
    ]


def test_another_file_is_refused(review: Review, tmp_path: Path) -> None:
    for text, why in (("{}", "is no document of `pfncache review --json`"), ("", "is no document")):
        (tmp_path / "other.json").write_text(text)
        run = review("rfc-v4", "--since", str(tmp_path / "other.json"))
        assert (run.code, why in run.err) == (2, True), run.err
    run = review("rfc-v4", "--since", str(tmp_path / "absent.json"), "--json")
    assert checked(run)["review"] is None
    assert (run.code, "No such file" in run.document["error"]) == (2, True)


@pytest.mark.parametrize(
    "words, why",
    [
        ([], "review takes a series"),
        (["rfc-v4", "--tree", ".", "--range", "a..b"], "review takes a series"),
        (["no-such-series"], "no design 'no-such-series'"),
        (["no/such.mbox"], "no series 'no/such.mbox': no such file or folder"),
        (["mainline-7.3"], "mainline-7.3 is what series are compared with"),
        (["rfc-v4", "--json", "--ktap"], "--json and --ktap are both for standard output"),
        (["rfc-v4", "--no-kernel", "--debug"], "--debug and --selftest are of the kernel"),
        (["rfc-v4", "--junit", "/no/such/folder/f"], "there is no folder /no/such/folder"),
    ],
)
def test_what_is_wrong_is_a_line(words: list[str], why: str, pfncache: object) -> None:
    run = pfncache("review", *words)  # type: ignore[operator]
    assert (run.code, why in run.err) == (2, True), run.err
