# SPDX-License-Identifier: GPL-2.0-only
"""A design beside its base: new, unchanged, cured; and the verdicts that follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS, mainline_6_12, mainline_7_2, mainline_7_3, no_direct_map_on_7_2
from pfncache.designs.design import Design
from pfncache.verify.base import base_below
from pfncache.verify.comparison import Comparison
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.session import verdict_of
from pfncache.verify.trace import Trace, TraceRow


def violation(prop: str, place: str = "f", steps: int = 1) -> Violation:
    row = TraceRow(cpu=0, actor="vcpu", function=place, source="mm/gup.py:1", text="x = 1", changes=())
    return Violation(property=prop, reason="why", trace=Trace(actors=("vcpu",), rows=(row,) * steps, reason="why"))


def outcome(name: str, *violations: Violation, verdict: str = "") -> Outcome:
    return Outcome(
        scenario=name, verdict=Verdict(verdict or ("violated" if violations else "holds")), states=10,
        violations=violations,
    )  # fmt: skip


def design(*outcomes: Outcome, base: tuple[Outcome, ...] | None = None) -> DesignOutcome:
    return DesignOutcome(
        design="mine", title="my design", outcomes=list(outcomes), base=None if base is None else "mainline-7.3",
        base_outcomes={o.scenario: o for o in base or ()},
    )  # fmt: skip


def warning(*functions: str) -> Violation:
    """A violation of the same property at the same place as any other one, behind these calls."""
    return replace(violation("warn-on"), calls=tuple((name, "x = 1") for name in functions))


WARN, OTHER_WARN, PAGE = violation("warn-on"), violation("warn-on", "g"), violation("bad-page")


def test_new_unchanged_and_cured() -> None:
    """Of one property at two places, one may be new. Behind a new violation, nothing is cured: it may be hidden."""
    found = Comparison.of(outcome("s", WARN, OTHER_WARN), outcome("s", WARN, PAGE))
    assert (found.new, found.unchanged, found.cured) == ((OTHER_WARN,), (WARN,), ())
    assert [found.against_base(v) for v in found.outcome.violations] == ["unchanged", "new"]


def test_cured() -> None:
    found = Comparison.of(outcome("s", WARN), outcome("s", WARN, PAGE))
    assert (found.new, found.unchanged, found.cured) == ((), (WARN,), (PAGE,))


FUNCTIONS = frozenset({"send", "fast", "update", "refresh"})
"""What the base has."""


def test_a_new_one_behind_an_old_one_of_the_same_kind() -> None:
    """The base's is the one with the same calls, wherever it comes; the other one is new."""
    old, late = warning("send", "refresh"), warning("send", "update", "refresh")
    for order in ((old, late), (late, old)):
        found = Comparison.of(outcome("s", *order), outcome("s", old), FUNCTIONS)
        assert (found.new, found.unchanged, found.cured) == ((late,), (old,), ())
    assert Comparison.of(outcome("s", old), outcome("s", old, late), FUNCTIONS).cured == (late,)


@pytest.mark.parametrize("functions", [("update", "refresh"), ("send", "update", "refresh"), ("step", "refresh")])
def test_a_new_one_that_hides_an_old_one(functions: tuple[str, ...]) -> None:
    """Nothing comes behind a step that violates. It is not the base's, whose functions it reaches in another way."""
    found = Comparison.of(
        outcome("s", warning(*functions)), outcome("s", warning("send", "fast", "refresh")), FUNCTIONS
    )
    assert (found.new, found.unchanged, found.cured) == (found.outcome.violations, (), ())


@pytest.mark.parametrize(
    "functions", [("send", "quick", "refresh"), ("send", "fast", "step", "refresh"), ("send", "refresh")]
)
def test_a_function_on_the_way_may_be_another_one(functions: tuple[str, ...]) -> None:
    """A patch that renames one, adds one or drops one makes no violation new; but it may add a violation."""
    old, renamed, elsewhere = warning("send", "fast", "refresh"), warning(*functions), warning("update", "refresh")
    found = Comparison.of(outcome("s", elsewhere, renamed), outcome("s", old), FUNCTIONS)
    assert (found.new, found.unchanged) == ((elsewhere,), (renamed,))
    twice = Comparison.of(outcome("s", warning("send", "new", "refresh"), old), outcome("s", old), FUNCTIONS)
    assert (twice.new, twice.unchanged) == ((warning("send", "new", "refresh"),), (old,))


def test_another_actor_is_another_violation() -> None:
    row = replace(WARN.trace.rows[0], actor="vmm") if WARN.trace is not None else None
    assert row is not None
    theirs = replace(WARN, trace=Trace(actors=("vcpu", "vmm"), rows=(row,), reason="why"))
    assert Comparison.of(outcome("s", theirs), outcome("s", WARN)).new == (theirs,)


def test_a_violated_scenario_that_was_not_complete() -> None:
    """It cures nothing, and the design is incomplete if nothing in it is new."""
    bounded = replace(outcome("s", WARN), limit="the limit of 1,000 states")
    assert Comparison.of(bounded, outcome("s", WARN, PAGE)).cured == ()
    assert design(bounded, base=(outcome("s", WARN),)).verdict == "incomplete"
    assert design(bounded).verdict == "violated"
    assert design(bounded).incomplete == 1


def test_without_a_base_everything_is_new() -> None:
    found = Comparison.of(outcome("s", WARN), None)
    assert (found.new, found.unchanged, found.cured) == ((WARN,), (), ())


@pytest.mark.parametrize("verdict", ["bounded", "lost", "not-applicable"])
def test_a_search_that_was_not_complete_cures_nothing(verdict: str) -> None:
    assert Comparison.of(outcome("s", verdict=verdict), outcome("s", WARN)).cured == ()


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        ((), "incomplete"),
        (("holds", "holds"), "holds"),
        (("holds", "vacuous"), "incomplete"),
        (("holds", "not-applicable"), "incomplete"),
        (("holds", "bounded"), "incomplete"),
        (("lost", "holds"), "incomplete"),
    ],
)
def test_verdict_without_violations(verdicts: tuple[str, ...], together: str) -> None:
    assert design(*(outcome("s", verdict=verdict) for verdict in verdicts)).verdict == together


def test_verdict_with_violations() -> None:
    assert design(outcome("s", WARN), outcome("t", verdict="bounded")).verdict == "violated"
    assert design(outcome("s", WARN), base=(outcome("s", WARN),)).verdict == "holds"
    assert design(outcome("s", WARN), base=(outcome("s", OTHER_WARN),)).verdict == "violated"
    assert design(outcome("s", WARN), outcome("t", verdict="lost"), base=(outcome("s", WARN),)).verdict == "incomplete"


def test_the_worst_of_several_designs() -> None:
    holds, bounded, violated = design(outcome("s")), design(outcome("s", verdict="bounded")), design(outcome("s", WARN))
    assert verdict_of([]) == "incomplete"
    assert verdict_of([holds]) == "holds"
    assert verdict_of([holds, bounded]) == "incomplete"
    assert verdict_of([violated, bounded]) == "violated"


def test_properties_by_the_number_of_scenarios() -> None:
    found = design(outcome("a", WARN, OTHER_WARN), outcome("b", PAGE), outcome("c", WARN), base=(outcome("b", PAGE),))
    assert found.broken == {"warn-on": 2}
    assert found.count(Verdict.VIOLATED) == 3


def test_shortest_new_violation_of_each_property() -> None:
    found = design(
        outcome("a", violation("deadlock", steps=5), violation("bad-page", steps=4)),
        outcome("b", violation("deadlock", steps=3)),
        outcome("c", violation("deadlock", steps=3)),
    )
    assert [(name, v.property) for name, v in found.shortest()] == [("b", "deadlock"), ("a", "bad-page")]
    assert design(outcome("a", WARN), base=(outcome("a", WARN),)).shortest() == []


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("mainline-7.3", None), ("mainline-6.12", None), ("no-direct-map", "mainline-7.3"),
        ("rfc-v4", "no-direct-map-on-7.2"), ("rfc-v4-bool", "no-direct-map-on-7.2"), ("rfc-v4-on-7.3", "no-direct-map"),
        ("no-active-count", "mainline-7.3"), ("xen-timer-stopped", "mainline-7.3"),
    ],
)  # fmt: skip
def test_bases_of_the_catalogue(name: str, base: str | None) -> None:
    found = base_below(DESIGNS[name])
    assert (found.name if found is not None else None) == base


def test_bases_of_a_users_designs() -> None:
    assert base_below(mainline_7_2 + []) is mainline_7_2
    assert base_below((mainline_6_12 + []).named("mine", "") + []) is mainline_6_12
    assert base_below(mainline_7_3.named("mine", "the same")) is mainline_7_3
    assert base_below(mainline_7_2.without(frozenset({"gmem-ndm"})).named("less", "")) is not None
    assert base_below(Design("by-hand", "", mainline_7_2.patches)) is mainline_7_2
    assert [base_below(step) for step in DESIGNS["rfc-v4"].prefixes()] == [no_direct_map_on_7_2] * 5
