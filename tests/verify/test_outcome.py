# SPDX-License-Identifier: GPL-2.0-only
"""Outcomes of scenarios, and what makes two violations the same."""

from __future__ import annotations

from dataclasses import replace

from pfncache.check.verdict import Verdict
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.trace import Trace, TraceRow

ROW = TraceRow(cpu=0, actor="vcpu", function="f", source="mm/gup.py:1", text="x = 1", changes=("x: 0 -> 1",))
TRACE = Trace(actors=("vcpu",), rows=(ROW,), reason="why")


def test_the_first_violation_by_itself() -> None:
    violation = Violation(property="deadlock", reason="why", trace=TRACE)
    violated = Outcome(scenario="a", verdict=Verdict.VIOLATED, violations=(violation,))
    assert (violated.property, violated.reason, violated.trace) == ("deadlock", "why", TRACE)


def test_what_was_not_searched() -> None:
    made = [
        Outcome.bounded("b", reason="no time"),
        Outcome.not_applicable("n", reason="no such memory"),
        Outcome.lost("l", reason="its worker was killed twice"),
    ]
    assert [(o.scenario, o.verdict, o.reason, o.violations, o.states, o.property, o.trace) for o in made] == [
        ("b", "bounded", "no time", (), 0, None, None),
        ("n", "not-applicable", "no such memory", (), 0, None, None),
        ("l", "lost", "its worker was killed twice", (), 0, None, None),
    ]


def test_the_place_is_the_end_of_the_trace() -> None:
    """Function and line; the number of the line is no part of what two violations have in common."""
    one = Violation(property="warn-on", reason="x is 1", trace=TRACE)
    moved = replace(ROW, source="mine.py:9")
    other = Violation(property="warn-on", reason="x is 2", trace=replace(TRACE, rows=(ROW, moved)))
    assert (one.place, other.place) == ("f() mm/gup.py:1", "f() mine.py:9")
    assert one.key == other.key == ("warn-on", "vcpu", "f", "x = 1")
    for row in (replace(ROW, actor="vmm"), replace(ROW, function="g"), replace(ROW, text="x = 2")):
        assert Violation(property="warn-on", reason="x is 1", trace=replace(TRACE, rows=(row,))).key != one.key
    assert Violation(property="bad-page", reason="x is 1", trace=TRACE).key != one.key


def test_what_has_no_single_place_has_its_reason() -> None:
    for name, reason in (
        ("deadlock", "a in f(), b in g()"), ("livelock", "a never returns from f()"), ("lock-order", "a -> b -> a"),
        ("bad-rss", "pte0 maps pfn 1 when all is done, in no VMA"),
    ):  # fmt: skip
        found = Violation(property=name, reason=reason, trace=None if name == "lock-order" else TRACE)
        assert (found.place, found.key) == (reason, (name, reason))
        assert replace(found, calls=(("f", "x = 1"),)).identity == found.identity


def test_calls_tell_violations_of_one_search_apart() -> None:
    one = Violation(property="warn-on", reason="x is 1", trace=TRACE, calls=(("f", "g()"), ("g", "x = 1")))
    other = replace(one, reason="x is 2", calls=(("h", "g()"), ("g", "x = 1")))
    assert one.key == other.key
    assert one.identity != other.identity
    assert one.identity == replace(one, reason="x is 2").identity
