# SPDX-License-Identifier: GPL-2.0-only
"""Outcomes: what many come to, and their JSON."""

from __future__ import annotations

import json

import pytest

from pfncache.check.verdict import Verdict
from pfncache.verify.outcome import DesignOutcome, Outcome, Violation, document
from pfncache.verify.trace import Trace, TraceRow

ROW = TraceRow(cpu=0, actor="vcpu", function="f", source="mm/gup.py:1", text="x = 1", changes=("x: 0 -> 1",))


def outcome(name: str, verdict: str = "holds", prop: str | None = None, steps: int = 0) -> Outcome:
    trace = Trace(actors=("vcpu",), rows=(ROW,) * steps, reason="why") if steps else None
    return Outcome(
        scenario=name, verdict=Verdict(verdict), states=10, transitions=20, seconds=1.23456, bounds="bounds",
        violations=(Violation(property=prop, reason="why", trace=trace),) if prop else (),
    )  # fmt: skip


def design(*outcomes: Outcome) -> DesignOutcome:
    return DesignOutcome(design="mine", title="my design", outcomes=list(outcomes))


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        ((), "holds"),
        (("holds", "holds"), "holds"),
        (("holds", "bounded"), "bounded"),
        (("bounded", "violated", "holds"), "violated"),
        (("violated", "bounded"), "violated"),
    ],
)
def test_verdict(verdicts: tuple[str, ...], together: str) -> None:
    assert design(*(outcome("s", verdict) for verdict in verdicts)).verdict == together


def test_broken_properties_are_named_once() -> None:
    found = design(
        outcome("a", "violated", "deadlock", 2),
        outcome("b"),
        outcome("c", "violated", "bad-page", 1),
        outcome("d", "violated", "deadlock", 1),
    )
    assert found.broken == ["deadlock", "bad-page"]


def test_shortest_of_each_property() -> None:
    found = design(
        outcome("a"),
        outcome("b", "violated", "deadlock", 5),
        outcome("c", "violated", "bad-page", 4),
        outcome("d", "violated", "deadlock", 3),
        outcome("e", "violated", "deadlock", 3),
    )
    assert [(o.property, o.scenario) for o in found.shortest()] == [("deadlock", "d"), ("bad-page", "c")]
    assert design(outcome("a")).shortest() == []


def test_complete_orders_and_fills() -> None:
    found = design(outcome("c"), outcome("a", "violated", "deadlock", 1))
    found.complete(["a", "b", "c"], "interrupted")
    assert [(o.scenario, o.verdict, o.reason) for o in found.outcomes] == [
        ("a", "violated", "why"), ("b", "bounded", "interrupted"), ("c", "holds", ""),
    ]  # fmt: skip
    assert (found.outcomes[1].states, found.outcomes[1].trace, found.verdict) == (0, None, "violated")


def test_complete_when_nothing_is_missing() -> None:
    found = design(outcome("a"), outcome("b"))
    found.complete(["a", "b"], "interrupted")
    assert (found.verdict, [o.states for o in found.outcomes]) == ("holds", [10, 10])


def test_json() -> None:
    found = document([design(outcome("a", "violated", "deadlock", 1), outcome("b"))])
    row = {
        "cpu": 0, "actor": "vcpu", "function": "f", "source": "mm/gup.py:1", "text": "x = 1", "changes": ["x: 0 -> 1"],
    }  # fmt: skip
    common = {"states": 10, "transitions": 20, "seconds": 1.235, "bounds": "bounds"}
    assert json.loads(json.dumps(found)) == {
        "schema": 1,
        "designs": [
            {
                "design": "mine",
                "verdict": "violated",
                "scenarios": [
                    {
                        "scenario": "a", "verdict": "violated", "property": "deadlock", "reason": "why",
                        "trace": [row], "loop": None, **common,
                    },
                    {"scenario": "b", "verdict": "holds", "property": None, "reason": "", "trace": [],
                     "loop": None, **common},
                ],
            }
        ],
    }  # fmt: skip


def test_the_first_violation_by_itself() -> None:
    violated, bounded = outcome("a", "violated", "deadlock", 1), Outcome.bounded("b", reason="no time")
    (violation,) = violated.violations
    assert (violated.property, violated.reason, violated.trace) == ("deadlock", "why", violation.trace)
    assert (bounded.property, bounded.reason, bounded.trace) == (None, "no time", None)
    assert (bounded.verdict, bounded.violations, bounded.states) == (Verdict.BOUNDED, (), 0)
