# SPDX-License-Identifier: GPL-2.0-only
"""A stage that fails, is skipped or is interrupted leaves a report of the rest."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.review.report import FindingKind, ReviewReport, ReviewVerdict, StageState
from pfncache.review.session import Hooks, ReviewSession
from pfncache.review.stages import Stages, StageSkipped
from pfncache.review.submission import of_design
from pfncache.review.verdicts import Plan
from pfncache.scenarios import SCENARIOS
from pfncache.verify.design_outcome import DesignVerdict
from pfncache.verify.session import SearchOptions, Session
from tests.conftest import PFNCACHE, Run
from tests.review.conftest import checked


def stages() -> Stages:
    return Stages(lambda line: None, lambda error: f"internal error: {error}")


def fails() -> str:
    raise ValueError("what it was")


def is_skipped() -> str:
    raise StageSkipped("no compiler")


def is_interrupted() -> str:
    raise KeyboardInterrupt


def test_what_fails_leaves_the_others() -> None:
    done = stages()
    for name, work in (("a", fails), ("b", is_skipped), ("c", lambda: "3 of 3")):
        done.run(name, work)
    assert [(s.name, s.state, s.text) for s in done.records] == [
        ("a", StageState.FAILED, "internal error: what it was"),
        ("b", StageState.SKIPPED, "no compiler"),
        ("c", StageState.DONE, "3 of 3"),
    ]


def test_after_an_interrupt_nothing_begins() -> None:
    done = stages()
    done.run("a", is_interrupted)
    done.run("b", lambda: pytest.fail("it was begun"))
    assert [s.state for s in done.records] == [StageState.INTERRUPTED] * 2
    assert isinstance(done.interrupted, KeyboardInterrupt)


@pytest.mark.parametrize("is_wanted, verdict", [(True, ReviewVerdict.INCOMPLETE), (False, ReviewVerdict.HOLDS)])
def test_a_stage_that_was_asked_for_and_is_missing(is_wanted: bool, verdict: ReviewVerdict) -> None:
    done = stages()
    done.skip("kernel build", "why", is_wanted=is_wanted)
    assert ReviewReport(name="n", title="t", base="b", stages=done.records).verdict is verdict


def session(search: Callable[[Session], None]) -> ReviewSession:
    """A review of a design whose searches are a function of ours."""
    plan = Plan(scenarios=[SCENARIOS["gmem/unmapped-punch"]], search=SearchOptions())
    hooks = Hooks(note=lambda line: None, search=search, explain=str)
    return ReviewSession(of_design(DESIGNS["rfc-v4"]), lambda steps: plan, hooks, no_kernel="--no-kernel")


def test_a_search_that_fails_leaves_the_patches_and_the_costs() -> None:
    def search(session: Session) -> None:
        raise ValueError("what it was")

    review = session(search)
    review.run()
    assert [(s.name, s.state, s.text) for s in review.report.stages if s.state is not StageState.DONE] == [
        ("kernel build", StageState.SKIPPED, "--no-kernel"),
        ("verdicts", StageState.FAILED, "what it was"),
        ("changed lines", StageState.FAILED, "what it was"),
    ]
    assert [p.verdict for p in review.report.patches] == [None] * 5
    assert {f.kind for f in review.report.findings} == {FindingKind.COST}
    assert review.report.verdict is ReviewVerdict.INCOMPLETE


def test_an_interrupted_search_ends_the_review() -> None:
    def search(session: Session) -> None:
        session.interrupted = KeyboardInterrupt()

    review = session(search)
    review.run()
    states = {s.name: s.state for s in review.report.stages}
    assert [states[n] for n in ("patches", "verdicts", "changed lines", "matrix and cost")] == [
        StageState.DONE, *[StageState.INTERRUPTED] * 3,
    ]  # fmt: skip
    assert {p.verdict for p in review.report.patches} == {DesignVerdict.INCOMPLETE}
    (finding,) = review.report.findings
    assert (finding.kind, finding.text) == (
        FindingKind.UNSEARCHED, "gmem/unmapped-punch: bounded: interrupted before it was searched",
    )  # fmt: skip


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_review_has_a_document(number: signal.Signals, code: int, tmp_path: Path) -> None:
    words = [*PFNCACHE, "review", "rfc-v4", "--no-kernel", "--jobs", "1", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("patches: "):
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    found = checked(Run(process.returncode, out, err))
    assert found["status"] == code
    stages = {stage["stage"]: stage["state"] for stage in found["review"]["stages"]}
    assert stages["patches"] == "done"
    assert stages["verdicts"] == "interrupted"
    assert len(found["review"]["patches"]) == 5
