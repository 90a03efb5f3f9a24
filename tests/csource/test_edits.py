# SPDX-License-Identifier: GPL-2.0-only
"""Edits change the place that they name, and the mail made of them applies."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.kernels.apply import apply as apply_series
from pfncache.kernels.patch_mail import read
from tests.csource.edits import Change, condition, diff, drop, insert, part, place, swap

TEXT = """\
/* ours */
static int lamp_turn(struct lamp *lamp, int wanted)
{
\tint old = lamp->state; /* before */

\tif (lamp->broken ||
\t    !lamp->plugged)
\t\treturn -1;
\tlamp->state = wanted;
\tlamp->turns = lamp->turns /* so far */ + 1;
\treturn old;
}

static int other(void)
{
\treturn 3;
}
"""
FUNCTION = "lamp_turn"


def changed(text: str) -> list[str]:
    """Return the lines that differ from TEXT."""
    return [new.strip() for old, new in zip(TEXT.split("\n"), text.split("\n"), strict=True) if old != new]


def test_a_statement_is_dropped() -> None:
    assert changed(drop(place("state wanted"))(TEXT, FUNCTION)) == [";"]


def test_a_statement_with_a_comment_in_it_is_dropped() -> None:
    assert changed(drop(place("turns"))(TEXT, FUNCTION)) == [";"]


def test_a_statement_is_inserted() -> None:
    assert changed(insert(place("return old"), "lamp->state = 0;")(TEXT, FUNCTION)) == ["lamp->state = 0; return old;"]


def test_two_statements_are_swapped() -> None:
    assert changed(swap(place("state wanted"), place("turns"))(TEXT, FUNCTION)) == [
        "lamp->turns = lamp->turns /* so far */ + 1;",
        "lamp->state = wanted;",
    ]


def test_a_condition_is_replaced() -> None:
    assert "\tif (0)\n\t\treturn -1;" in condition(place("broken"), "0")(TEXT, FUNCTION)


def test_an_operand_is_replaced() -> None:
    edited = part(place("broken"), "lamp plugged", "1")(TEXT, FUNCTION)
    assert changed(edited) == ["1)"]


def test_the_nth_place() -> None:
    assert changed(drop(place("return", 2))(TEXT, FUNCTION)) == [";"]


def test_a_place_that_is_not_there() -> None:
    with pytest.raises(AssertionError, match=r"lamp_turn\(\) has 0 places with colour"):
        drop(place("colour"))(TEXT, FUNCTION)


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(AssertionError, match=r"there is no function lamp_sell\(\)"):
        drop(place("state"))(TEXT, "lamp_sell")


def test_the_mail_applies(tmp_path: Path) -> None:
    for name in ("before", "after"):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "lib/lamp.c").write_text(TEXT)
    Change("lib/lamp.c", FUNCTION, drop(place("state wanted"))).apply(tmp_path / "after")
    mail = tmp_path / "lamp.patch"
    mail.write_text(diff(tmp_path / "before", tmp_path / "after", ["lib/lamp.c"], "lamp: stay dark"))
    series = read(mail)
    (tmp_path / "into").mkdir()
    assert [patch.subject for patch in series] == ["lamp: stay dark"]
    assert apply_series(series, tmp_path / "before", tmp_path / "into") == ["lib/lamp.c"]
    assert (tmp_path / "into/lib/lamp.c").read_text() == (tmp_path / "after/lib/lamp.c").read_text()
