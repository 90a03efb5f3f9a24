# SPDX-License-Identifier: GPL-2.0-only
"""What is printed claims no more than what was searched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfncache.check.verdict import Verdict
from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.space.coverage import SpaceCoverage
from pfncache.scenarios.space.names import point_named
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.view import coverage, show

OPERATIONS_OF_ANON = [operation.name for operation in OPERATIONS.values() if "anon" in operation.memory]
HOLDS = Outcome(scenario="a", verdict=Verdict.HOLDS, states=1000, bounds="a | b; 3 pages")
CYCLE = Violation(property="lock-order", reason="a -> b -> a")
VIOLATED = Outcome(scenario="b", verdict=Verdict.VIOLATED, violations=(CYCLE,), states=1)
BOUNDED = Outcome.bounded("c", reason="interrupted before it was searched")


def design(*outcomes: Outcome, base: Outcome | None = None) -> DesignOutcome:
    return DesignOutcome(
        design="mine", title="my design", outcomes=list(outcomes), base="mainline-7.3" if base else None,
        base_outcomes={base.scenario: base} if base else {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ([], "nothing was searched: 0 states"),
        ([HOLDS], "every interleaving of 1 scenario: 1,000 states"),
        ([VIOLATED], "1 scenario violated: 1 state"),
        ([BOUNDED], "1 scenario not to the end: 0 states"),
        ([Outcome.lost("d", reason="killed")], "1 scenario lost: 0 states"),
        ([Outcome.not_applicable("d", reason="no memory")], "1 scenario not applicable: 0 states"),
        (
            [HOLDS, HOLDS, VIOLATED, BOUNDED],
            "every interleaving of 2 scenarios, 1 scenario violated, 1 scenario not to the end: 2,001 states",
        ),
    ],
)
def test_coverage(outcomes: list[Outcome], text: str) -> None:
    assert coverage(outcomes) == text


def test_one_design_has_its_scenarios_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    show([design(HOLDS, VIOLATED, BOUNDED)], 1.25)
    text = capsys.readouterr().out
    assert text.startswith("mine: my design")
    assert "lock-order in b, the shortest interleaving:\n\n=> a -> b -> a\n" in text
    assert [line.split("│")[1:4] for line in text.splitlines() if "│ a " in line or "│ c " in line] == [
        [" a        ", " holds    ", "                                    "],
        [" c        ", " bounded  ", " interrupted before it was searched "],
    ]
    assert text.endswith(" in 1.2 s\n")


def test_a_design_that_is_as_its_base_has_ten_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """No trace of what the base violates too."""
    show([design(HOLDS, VIOLATED, base=VIOLATED)], 1.25)
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 10
    assert "interleaving:" not in text
    assert "│ mine   │ holds   │             │    1 │     1 │   0 │     0 │          0 │  1,001 │" in text
    assert "mine against mainline-7.3: nothing new, 1 unchanged, 0 cured\n" in text


def test_what_is_cured_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    cured = Outcome(scenario="b", verdict=Verdict.HOLDS)
    show([design(cured, base=VIOLATED)], 1.25)
    assert (
        "mine against mainline-7.3: nothing new, 0 unchanged, 1 cured\n  cured: lock-order in b\n"
        in capsys.readouterr().out
    )


def test_what_is_new_has_a_row_and_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    other = Violation(property="lock-order", reason="b -> c -> b")
    both = Outcome(scenario="b", verdict=Verdict.VIOLATED, violations=(CYCLE, other), states=1)
    show([design(HOLDS, both, base=VIOLATED)], 1.25)
    text = capsys.readouterr().out
    assert "=> b -> c -> b\n" in text
    assert "=> a -> b -> a\n" not in text
    assert "│ b        │ violated │ lock-order, lock-order (as mainline-7.3) │" in text
    assert "│ a " not in text
    assert "mine against mainline-7.3: 1 new, 1 unchanged, 0 cured\n" in text


def test_several_designs_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    show([DesignOutcome(design=name, title=name, outcomes=[VIOLATED]) for name in ("one", "two")], 1.0)
    text = capsys.readouterr().out
    assert "the shortest interleaving" not in text
    assert sum("│ violated │ lock-order 1 │" in line for line in text.splitlines()) == 2


def test_what_breaks_in_the_space_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """And so has what part of the space was searched; nothing is said of points that have no rare value in common."""
    values = {name: point_named(name).values for name in (f"space/anon/clock+{op}" for op in OPERATIONS_OF_ANON)}
    broken = {"space/anon/clock+munmap", "space/anon/clock+touch"}
    values |= {f"{name}/memslots=hole": point_named(f"{name}/memslots=hole").values for name in broken}
    leak = Violation(property="leak", reason="a page is left")
    outcomes = [
        Outcome(scenario=name, verdict=Verdict.VIOLATED, violations=(leak,))
        if "hole" in name
        else Outcome(scenario=name, verdict=Verdict.HOLDS)
        for name in values
    ]
    space = SpaceCoverage(points=len(values), of_points=1234, pairs=5, of_pairs=67)
    found = DesignOutcome(design="mine", title="", outcomes=outcomes, space=space, points=values)
    show([found], 1.0)
    text = capsys.readouterr().out
    count = len(values) - 2
    assert f"mine: leak in 2 points, exactly with memslots=hole ({count} others)\n" in text
    assert f"mine: of the space of scenarios, {len(values)} of 1,234 points, with 5 of 67 pairs of values" in text
    show([replace(found, outcomes=[*outcomes[:-2], outcomes[-1]])], 1.0)
    assert "exactly with" not in capsys.readouterr().out
