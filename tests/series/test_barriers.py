# SPDX-License-Identifier: GPL-2.0-only
"""Barriers that a change moves, by the statements around them."""

from __future__ import annotations

import pytest

from pfncache.series.barriers import moved_barriers
from pfncache.series.change import ItemKind
from pfncache.series.items import Item, items_of

OLD = "int f(int *a, int *b)\n{\n\tint x = *a;\n\n\tsmp_rmb();\n\treturn x + *b;\n}\n"


def function(text: str) -> Item:
    return items_of(text, "f.c")[ItemKind.FUNCTION, "f"]


@pytest.mark.parametrize(
    ("new", "moved"),
    [
        (OLD, ()),
        (OLD.replace("int x = *a;", "int x = *a + 1;"), ()),
        (OLD.replace("\tsmp_rmb();\n", "\t/* why */ smp_rmb();\n"), ()),
        (OLD.replace("\tsmp_rmb();\n", ""), ("smp_rmb()",)),
        (OLD.replace("smp_rmb", "smp_mb"), ("smp_rmb()", "smp_mb()")),
        (OLD.replace("\n\tsmp_rmb();", "").replace("\tint x", "\tsmp_rmb();\n\tint x"), ("smp_rmb()",)),
    ],
)
def test_moved(new: str, moved: tuple[str, ...]) -> None:
    assert moved_barriers(function(OLD), function(new)) == moved


def test_a_new_function_with_a_barrier() -> None:
    assert moved_barriers(None, function(OLD)) == ("smp_rmb()",)
