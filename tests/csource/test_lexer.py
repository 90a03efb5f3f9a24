# SPDX-License-Identifier: GPL-2.0-only
"""The preparation keeps every line, and decides conditional compilation."""

from __future__ import annotations

import pytest

from pfncache.csource.errors import SourceError
from pfncache.csource.lexer import closing, holds, prepare, split_arguments, without_comments


def test_comments_become_blanks_of_the_same_lines() -> None:
    assert without_comments('a /* x\n y */ b // c\n"/* no */"') == 'a     \n      b     \n"/* no */"'


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("defined(CONFIG_A)", True),
        ("IS_ENABLED(CONFIG_B)", False),
        ("defined(CONFIG_A) && !defined(CONFIG_B)", True),
        ("defined CONFIG_B || 1", True),
        ("CONFIG_A", True),
        ("VERSION_CODE > 3", False),
        ("KERNEL_VERSION(1, 2, 3) > 3", False),
        ("", False),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    assert holds(condition, {"CONFIG_A"}) is expected


def test_the_live_branch_of_a_conditional_stays_in_its_lines() -> None:
    text = "#ifdef CONFIG_A\none\n#elif defined(CONFIG_B)\ntwo\n#else\nthree\n#endif\nend"
    assert prepare(text, {"CONFIG_A"}).text.split("\n") == ["", "one", "", "", "", "", "", "end"]
    assert prepare(text, {"CONFIG_B"}).text.split("\n") == ["", "", "", "two", "", "", "", "end"]
    assert prepare(text).text.split("\n") == ["", "", "", "", "", "three", "", "end"]


def test_a_conditional_in_a_dead_branch_is_dead() -> None:
    assert prepare("#ifdef NO\n#ifndef NEITHER\nx\n#endif\n#endif\ny").text.split() == ["y"]


def test_macros_are_expanded_unless_the_tables_have_them() -> None:
    text = "#define SUM(a, b) \\\n\t((a) + (b))\n#define ONE 1\nx = SUM(f(1, 2),\n\tONE);\n"
    prepared = prepare(text)
    assert prepared.text == "\n\n\nx = ((f(1, 2)) + (ONE))\n;\n"
    assert prepared.constants == {"ONE": "1"}
    assert prepare(text, keep={"SUM"}).text.split("\n")[3] == "x = SUM(f(1, 2),"


def test_a_macro_that_expands_to_itself_is_expanded_once() -> None:
    assert prepare("#define F(x) F(x + 1)\nF(2)").text == "\nF(2 + 1)"


def test_a_block_macro_becomes_the_condition_of_a_while() -> None:
    text = "\tlist_for_each_entry(x, &l, e)\n\t\tf();\n\tscoped_guard(lock, &l)\n\t\tg();\n\tmy_for_each(y);\n"
    expected = "\twhile (list_for_each_entry(x, &l, e))\n\t\tf();\n\twhile (scoped_guard(lock, &l))\n\t\tg();\n"
    assert prepare(text).text == expected + "\tmy_for_each(y);\n"


def test_types_among_arguments_become_names() -> None:
    assert prepare("x = container_of(p, struct box, m);").text == "x = container_of(p,        box, m);"
    assert prepare("x = min_t(unsigned long, a, b);").text == "x = min_t(ulong        , a, b);"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nmin_t(int, (b\n", "f.c:2: a parenthesis is not closed"),
        ("a\n#if X\nb\n", "f.c:2: the #if is not closed"),
        ("a\n#endif\n", "f.c:2: #endif without #if"),
    ],
)
def test_what_is_not_closed_has_its_line(text: str, message: str) -> None:
    with pytest.raises(SourceError) as raised:
        prepare(text, file="f.c")
    assert str(raised.value) == message


def test_arguments_are_split_outside_of_brackets() -> None:
    assert split_arguments("a, f(b, c), d[1, 2]") == ["a", "f(b, c)", "d[1, 2]"]
    assert closing("f(a(b)c)d", 1) == 7
