# SPDX-License-Identifier: GPL-2.0-only
"""A stage that fails, is skipped or is interrupted leaves a report of the rest."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from pfncache.review.report import ReviewReport, ReviewVerdict, StageState
from pfncache.review.stages import Stages, StageSkipped
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
