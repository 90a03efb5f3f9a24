# SPDX-License-Identifier: GPL-2.0-only
"""What is printed claims no more than what was searched."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.verify.outcome import DesignOutcome, Outcome, Violation
from pfncache.verify.view import coverage, show

HOLDS = Outcome(scenario="a", verdict=Verdict.HOLDS, states=1000, bounds="a | b; 3 pages")
CYCLE = Violation(property="lock-order", reason="a -> b -> a")
VIOLATED = Outcome(scenario="b", verdict=Verdict.VIOLATED, violations=(CYCLE,), states=1)
BOUNDED = Outcome.bounded("c", reason="interrupted before it was searched")


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ([HOLDS], "every interleaving of 1 scenario: 1,000 states"),
        ([VIOLATED], "1 scenario up to the first violation: 1 state"),
        ([BOUNDED], "1 scenario not to the end: 0 states"),
        (
            [HOLDS, HOLDS, VIOLATED, BOUNDED],
            "every interleaving of 2 scenarios, 1 scenario up to the first violation, 1 scenario not to the end: "
            "2,001 states",
        ),
    ],
)
def test_coverage(outcomes: list[Outcome], text: str) -> None:
    assert coverage(outcomes) == text


def test_one_design_has_its_scenarios_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    show([DesignOutcome(design="mine", title="my design", outcomes=[HOLDS, VIOLATED, BOUNDED])], 1.25)
    text = capsys.readouterr().out
    assert text.startswith("mine: my design")
    assert "lock-order in b, the shortest interleaving:\n\n=> a -> b -> a\n" in text
    assert [line.split("│")[1:4] for line in text.splitlines() if "│ a " in line or "│ c " in line] == [
        [" a        ", " holds    ", "                                    "],
        [" c        ", " bounded  ", " interrupted before it was searched "],
    ]
    assert text.endswith(" in 1.2 s\n")


def test_several_designs_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    designs = [DesignOutcome(design=name, title=name, outcomes=[VIOLATED]) for name in ("one", "two")]
    show(designs, 1.0)
    text = capsys.readouterr().out
    assert "the shortest interleaving" not in text
    assert sum("│ violated │ lock-order  │" in line for line in text.splitlines()) == 2
