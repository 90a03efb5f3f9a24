# SPDX-License-Identifier: GPL-2.0-only
"""Excerpts of sources: the lines, and their tokens."""

from __future__ import annotations

from pathlib import Path

from pfncache.review.explorer.excerpts import AROUND, Sources, add_excerpt, style


def test_python_and_c_are_coloured_by_their_tokens(tmp_path: Path) -> None:
    python, c = tmp_path / "a.py", tmp_path / "a.c"
    python.write_text('if valid:  # look\n    return "x"\n')
    c.write_text("/* one\n * two */\nreturn 5;\n")
    sources = Sources()
    add_excerpt(sources, "a.py", str(python), 1)
    add_excerpt(sources, "a.c", str(c), 3)
    assert sources == {
        "a.py": {
            "1": ["k", "if", "", " valid:  ", "c", "# look"],
            "2": ["", "    ", "k", "return", "", " ", "s", '"x"'],
        },
        "a.c": {"1": ["c", "/* one"], "2": ["c", " * two */"], "3": ["k", "return", "", " ", "n", "5", "", ";"]},
    }


def test_an_excerpt_is_a_part_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("x = 1\n" * 100)
    sources = Sources()
    add_excerpt(sources, "long.py", str(path), 50)
    assert sorted(map(int, sources["long.py"])) == list(range(50 - AROUND, 50 + AROUND + 1))


def test_a_file_that_is_gone_has_no_lines() -> None:
    sources = Sources()
    add_excerpt(sources, "gone.py", "/nowhere/gone.py", 3)
    assert sources == {"gone.py": {}}


def test_each_class_has_a_colour_by_day_and_by_night() -> None:
    assert ".t-c { color: light-dark(#57606a, #9aa4b0); }" in style().splitlines()
