# SPDX-License-Identifier: GPL-2.0-only
"""An outcome as JSON, and back."""

from __future__ import annotations

import json

import pytest

from pfncache.check.verdict import Verdict
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.outcome_format import outcome_as_json, outcome_of
from pfncache.verify.trace import Schedule, Trace, TraceRow

ROW = TraceRow(cpu=0, actor="vcpu", function="f", source="mm/a.py:3", text="x = 1", changes=("x: 0 -> 1",))
SCHEDULES = (None, Schedule(steps=((0, 0), (1, 2)), loop=1), Schedule(steps=(), start=1))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_an_outcome_comes_back_with_its_traces(schedule: Schedule | None) -> None:
    trace = Trace(actors=("vcpu", "vmm"), rows=(ROW,), reason="why", loop=0, schedule=schedule)
    violation = Violation(property="leak", reason="why", trace=trace, calls=(("f", "x = 1"),))
    outcome = Outcome(
        scenario="mm/a",
        verdict=Verdict.VIOLATED,
        violations=(violation,),
        states=3,
        transitions=4,
        used=frozenset({"f"}),
    )
    assert outcome_of(json.loads(json.dumps(outcome_as_json(outcome)))) == outcome
