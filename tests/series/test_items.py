# SPDX-License-Identifier: GPL-2.0-only
"""Definitions of a C file, compared by their tokens."""

from __future__ import annotations

import pytest

from pfncache.csource.errors import SourceError
from pfncache.series.change import ItemKind
from pfncache.series.items import items_of, not_compiled

TEXT = "#define SIZE 4\nstruct s {\n\tint a;\n};\nint f(struct s *s)\n{\n\treturn s->a + SIZE;\n}\n"


def test_definitions() -> None:
    found = items_of(TEXT, "f.c")
    assert [(kind.value, name, item.line) for (kind, name), item in found.items()] == [
        ("function", "f", 5),
        ("struct", "s", 2),
        ("macro", "SIZE", 1),
    ]


def test_comments_and_blanks_are_no_change() -> None:
    other = TEXT.replace("return s->a", "/* the\n\tfirst */ return  s -> a")
    key = ItemKind.FUNCTION, "f"
    assert items_of(TEXT, "f.c")[key].text == items_of(other, "f.c")[key].text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int f(void)\n{\n\tif (1) {\n\treturn 1;\n}\n\nint g(void)\n{\n}\n",
         "f.c:2: a brace that this line opens is not closed"),
        ("int f(void)\n{\n}\n}\n", "f.c:4: a brace is closed that is not open"),
        ("#ifdef A\nint f(void)\n{\n}\n", "f.c:1: the #if is not closed"),
    ],
)  # fmt: skip
def test_what_is_no_c(text: str, message: str) -> None:
    with pytest.raises(SourceError) as raised:
        items_of(text, "f.c")
    assert str(raised.value) == message


def test_lines_that_the_configuration_leaves_out() -> None:
    new = TEXT.replace("\treturn", "#ifdef CONFIG_NO_SUCH\n\ts->a++;\n#endif\n\treturn")
    assert not_compiled(TEXT, new, "f.c") == [8]
    assert not_compiled(new, new, "f.c") == []
