# SPDX-License-Identifier: GPL-2.0-only
"""Runs of tests with a herd7 of ours: its answers, its errors, and an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.litmus.herd import Herd
from pfncache.litmus.observe import STOPPED, MemoryModel
from pfncache.litmus.protocol import Environment, LitmusTest, LitmusVerdict, Thread
from pfncache.litmus.result import LitmusResult
from pfncache.litmus.session import LitmusSession
from pfncache.litmus.source import KernelSource

TESTS = [
    LitmusTest(name=name, protects="ours", threads=(Thread("writer", (Environment("ours", "*x = 1;"),)),), never="x=2")
    for name in ("a", "b", "c")
]


def session(tmp_path: Path, answer: str) -> LitmusSession:
    """A session whose herd7 is a script."""
    program = tmp_path / "herd7"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    (tmp_path / "linux-kernel.cfg").touch()
    model = MemoryModel(Herd((str(program),), "7.58", program), tmp_path)
    return LitmusSession.plan(TESTS, KernelSource(tmp_path), model, kernel="ours", processes=1)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("echo 'Observation a Never 0 1'", LitmusVerdict.ORDERED),
        ("echo 'Flag data-race'; echo 'Observation a Never 0 1'", LitmusVerdict.DATA_RACE),
        ("echo 'Observation a Sometimes 1 1'", LitmusVerdict.BROKEN),
        ("echo 'Observation a Always 1 0'", LitmusVerdict.BROKEN),
        ("echo 'Warning: no test' >&2", LitmusVerdict.UNKNOWN),
    ],
)
def test_answers(tmp_path: Path, answer: str, verdict: LitmusVerdict) -> None:
    asked = session(tmp_path, answer)
    done: list[str] = []
    asked.run(lambda result: done.append(result.test.name))
    assert sorted(done) == ["a", "b", "c"]
    assert [(r.test.name, r.verdict) for r in asked.results] == [("a", verdict), ("b", verdict), ("c", verdict)]
    reasons = ("herd7: Warning: no test",) if verdict is LitmusVerdict.UNKNOWN else ()
    assert asked.results[0].reasons == reasons


def test_what_was_not_asked_is_unknown(tmp_path: Path) -> None:
    asked = session(tmp_path, "echo 'Observation a Never 0 1'; sleep 0.1")

    def interrupt(result: LitmusResult) -> None:
        raise KeyboardInterrupt

    asked.run(interrupt)
    assert isinstance(asked.interrupted, KeyboardInterrupt)
    verdicts = [result.verdict for result in asked.results]
    assert verdicts.count(LitmusVerdict.ORDERED) == 1
    assert verdicts.count(LitmusVerdict.UNKNOWN) == 2
    assert asked.results[-1].reasons == (STOPPED,)
