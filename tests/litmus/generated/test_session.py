# SPDX-License-Identifier: GPL-2.0-only
"""Runs of generated tests, with a program in the place of herd7."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.litmus.event import EventKind
from pfncache.litmus.generated.ask import Asker
from pfncache.litmus.generated.cycles import conflicts_of
from pfncache.litmus.generated.marks import Marks
from pfncache.litmus.generated.recorded import Recorded, RecordedOperation, SourceFrame
from pfncache.litmus.generated.result import GeneratedVerdict, ScenarioResult
from pfncache.litmus.generated.session import GeneratedSession, Question
from pfncache.litmus.herd import Herd
from pfncache.litmus.observe import STOPPED, MemoryModel
from pfncache.litmus.source import KernelSource

FILE = "virt/kvm/ours.c"


def session(tmp_path: Path, answer: str) -> GeneratedSession:
    """Two scenarios with a store and a load of two variables each, of which the first one cannot be run."""
    (tmp_path / "linux-kernel.cfg").touch()
    program = tmp_path / "herd7"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text("void f(struct thing *t)\n{\n\tt->a = 1;\n\tn = t->b;\n\tt->b = 1;\n\tn = t->a;\n}\n")
    marks = Marks(KernelSource(tmp_path))

    def event(kind: EventKind, name: str, line: int) -> Recorded:
        return Recorded(kind, f"t.{name}", (SourceFrame(FILE, line, "f"),), "1", "0")

    operations = [
        RecordedOperation("one", "f", (event(EventKind.WRITE, "a", 3), event(EventKind.READ, "b", 4))),
        RecordedOperation("other", "f", (event(EventKind.WRITE, "b", 5), event(EventKind.READ, "a", 6))),
    ]
    model = MemoryModel(Herd((str(program),), "7.58", program), tmp_path)
    questions = [
        Question("s/fails", error="ours.py:1: no such thing"),
        Question("s/stores", operations, conflicts_of(operations, lambda one: marks.order(one) is not None)),
    ]
    return GeneratedSession(kernel="ours", questions=questions, asker=Asker(marks, model), model=model)


@pytest.mark.parametrize(
    ("answer", "verdict", "races"),
    [
        ("echo 'Observation a Never 0 1'", GeneratedVerdict.ORDERED, ["ordered", "ordered"]),
        ("echo 'Flag data-race'; echo 'Observation a Never 0 1'", GeneratedVerdict.DATA_RACE, ["data race"] * 2),
        (
            "grep -q smp_mb $5 && echo 'Observation a Never 0 1' || echo 'Observation a Sometimes 1 1'",
            GeneratedVerdict.NEEDS_BARRIER,
            ["ordered", "ordered"],
        ),
    ],
)
def test_answers(tmp_path: Path, answer: str, verdict: GeneratedVerdict, races: list[str]) -> None:
    asked = session(tmp_path, answer)
    asked.run()
    failed, stores = asked.results
    assert (failed.verdict, failed.error) == (GeneratedVerdict.UNKNOWN, "ours.py:1: no such thing")
    assert stores.verdict is verdict
    assert [str(race.verdict) for race in stores.races] == races
    assert asked.is_incomplete
    assert asked.is_unordered == (verdict is not GeneratedVerdict.ORDERED)


def test_a_herd7_that_fails_leaves_its_tests_unknown(tmp_path: Path) -> None:
    asked = session(tmp_path, "echo 'Warning: no test' >&2")
    asked.run()
    stores = asked.results[1]
    assert (stores.verdict, stores.error) == (GeneratedVerdict.UNKNOWN, "")
    assert [cycle.reason for cycle in stores.cycles] == ["herd7: Warning: no test"]
    assert [race.reason for race in stores.races] == ["herd7: Warning: no test"] * 2


def test_what_was_not_asked_is_unknown(tmp_path: Path) -> None:
    asked = session(tmp_path, "sleep 0.2; echo 'Observation a Never 0 1'")

    def interrupt(result: ScenarioResult) -> None:
        raise KeyboardInterrupt

    asked.run(interrupt)
    assert isinstance(asked.interrupted, KeyboardInterrupt)
    assert asked.results[1].error == STOPPED
