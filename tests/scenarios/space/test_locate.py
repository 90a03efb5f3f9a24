# SPDX-License-Identifier: GPL-2.0-only
"""What points that show a fault have in common, on a space that is written out."""

from __future__ import annotations

from itertools import product

import pytest

from pfncache.scenarios.space.locate import Condition, locate

SPACE = [dict(zip("abcd", row, strict=True)) for row in product("123", "12345", "xy", "mnop")]


def split(fault: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the points for which an expression of a, b, c and d is true, and the others."""
    shows = [bool(eval(fault, {}, dict(point))) for point in SPACE]
    return [p for p, shown in zip(SPACE, shows, strict=True) if shown], [
        p for p, shown in zip(SPACE, shows, strict=True) if not shown
    ]


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("b == '4'", "in 24 points, exactly with b=4 (96 others)"),
        ("b in '45'", "in 48 points, exactly with b=4|5 (72 others)"),
        ("a == '2' and b == '1'", "in 8 points, exactly with b=1 and a=2 (112 others)"),
        ("a == '1' and (b == '1' or c == 'x')", "in 24 points, only with a=1 (16 of 96 others)"),
        (
            "a == '1' and b == '1' and c == 'x' and d != 'm'",
            "in 3 points, only with b=1 (21 of 117 others)",
        ),
        ("a == '1' or b == '1' or c == 'x'", "in 88 points, which have no rare value in common (32 others)"),
        (
            "a == '3' and b == '5' and c == 'x' and d == 'm'",
            "in 1 point, which have no rare value in common (119 others)",
        ),
    ],
)
def test_what_they_have_in_common(fault: str, text: str) -> None:
    assert str(locate(*split(fault))) == text


def test_a_condition_that_others_meet_too_is_counted() -> None:
    found = locate(*split("a == '1' and (b == '1' or c == 'x')"))
    assert found.only == (Condition(dimension="a", values=("1",), others=16),)
    assert found.exact == ()


def test_every_point_may_show_it() -> None:
    found = locate(SPACE, [])
    assert (found.points, found.others, found.only, found.exact) == (120, 0, (), ())
