# SPDX-License-Identifier: GPL-2.0-only
"""Guided search behind a search that is bounded."""

from __future__ import annotations

import re

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.conftest import Call

SECONDS = 3.0


def test_a_violation_beyond_the_limit_is_found() -> None:
    design, scenario = DESIGNS["no-refresh-lock"], "gpc/refresh-twice"
    assert run(Job(design, scenario, 1000)).verdict == Verdict.BOUNDED
    outcome = run(Job(design, scenario, 1000, budget=SECONDS))
    assert (outcome.verdict, outcome.properties, outcome.is_complete) == (Verdict.VIOLATED, ("map-imbalance",), False)
    violation = outcome.violations[0]
    assert violation.is_walk
    assert violation.trace is not None
    assert len({row.actor for row in violation.trace.rows}) > 1
    assert re.fullmatch(
        r"the limit of 1,000 states; \d+ s of guided search: [\d,]+ random walks with at most \d preemptions,"
        r" [\d,]+ steps, [\d,]+ of [\d,]+ pairs of conflicting steps",
        outcome.limit,
    )


def test_what_finds_nothing_does_not_hold() -> None:
    outcome = run(Job(DESIGNS["mainline-7.3"], "fork/clock", 1000, budget=0.5))
    assert (outcome.verdict, outcome.violations, outcome.is_complete) == (Verdict.BOUNDED, (), False)
    assert "s of guided search" in outcome.limit


def test_a_search_that_is_complete_is_not_followed_by_one() -> None:
    outcome = run(Job(DESIGNS["mainline-7.3"], "clock/anon/munmap", 400_000, budget=60.0))
    assert (outcome.verdict, outcome.limit) == (Verdict.HOLDS, "")


@pytest.mark.parametrize("text", ["0", "0s", "-1", "1h", "s", "1,5"])
def test_what_is_no_duration_is_refused(pfncache: Call, text: str) -> None:
    done = pfncache("verify", "mainline-7.3", "-s", "clock/anon/munmap", f"--budget={text}")
    assert done.code == 2
    assert f"{text!r} is no duration above 0, as 60s or 2m" in " ".join(done.err.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "rfc-v4-bool", "gmem-large-folios-late-split", "gmem-large-folios-truncate",
        "rfc-v4-fixed-large-folios-truncate", "no-refresh-lock", "unbind-without-lock", "unbind-skips-dying",
    ],
)  # fmt: skip
def test_faults_are_found_by_walks(name: str) -> None:
    """Every known fault of the catalogue that a search of 1,000 states does not show."""
    design = DESIGNS[name]
    assert run(Job(design, design.shown_by, 1000)).verdict == Verdict.BOUNDED
    assert run(Job(design, design.shown_by, 1000, budget=20.0)).verdict == Verdict.VIOLATED
