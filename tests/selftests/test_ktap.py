# SPDX-License-Identifier: GPL-2.0-only
"""KTAP output can be parsed; the parser refuses what the grammar does."""

from __future__ import annotations

import pytest

from pfncache.selftests.ktap import Directive, Line, header

from .ktap import KtapError, parse

GOOD = """KTAP version 1
1..2
  KTAP version 1
  # Subtest: one
  1..2
  # a note
  ok 1 fails # XFAIL known
  ok 2 cannot # SKIP no such thing
ok 1 one
ok 2 two"""


def test_parser_reads_the_grammar() -> None:
    one, two = parse(GOOD)
    assert [t.name for t in one.subtests] == ["fails", "cannot"]
    assert [t.directive for t in one.subtests] == ["XFAIL", "SKIP"]
    assert one.subtests[0].notes == ["Subtest: one", "a note"]
    assert (two.ok, two.subtests) == (True, [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("KTAP version 1\n1..2", "1..2"),
        ("1..2\n  KTAP", "1..3\n  KTAP"),
        ("  ok 1 fails", " ok 1 fails"),
        ("ok 2 two", "ok 3 two"),
        ("# XFAIL known", "# PERHAPS"),
        ("ok 1 one\n", ""),
        ("  # a note", "  a note"),
        ("  1..2\n", "  1..2\n  1..2\n"),
    ],
)
def test_parser_refuses(old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(KtapError):
        parse(GOOD.replace(old, new, 1))


def test_what_is_written_is_read_back() -> None:
    nasty = Line("a # name\nof two lines", False, Directive.XFAIL, "because # of\nthis", ["one\ntwo"])
    text = "\n".join(
        [
            header(1),
            header(2, 1, "group"),
            nasty.render(1, 1),
            Line("b", True).render(2, 1),
            Line("group", True).render(1, 0),
        ]
    )
    (group,) = parse(text)
    first, second = group.subtests
    assert (first.ok, first.name, first.directive) == (False, "a no. name of two lines", "XFAIL")
    assert first.reason == "because no. of this"
    assert first.notes == ["Subtest: group", "one", "two"]
    assert (second.ok, second.name) == (True, "b")
