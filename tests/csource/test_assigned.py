# SPDX-License-Identifier: GPL-2.0-only
"""A local without a value is never read as 0."""

from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from tests.csource.machine import python, run, search, world

MAYBE = """
int f(struct c_world *w, int a)
{
	struct c_node *n;
	int s;

	if (a) {
		s = a;
		n = w->head;
	}
	if (a > 1)
		return s + n->number;
	return %s;
}
"""


def test_a_read_on_a_path_with_a_value_is_no_error() -> None:
    assert run(MAYBE % "0", world(1), 2) == 3
    assert search(MAYBE % "0", world(1), 2) == ("holds", None)


@pytest.mark.parametrize("read", ["s", "n->number"])
def test_a_read_before_a_value_is_an_error(read: str) -> None:
    with pytest.raises(PropertyViolated, match="uninitialised-read"):
        run(MAYBE % read, world(1), 0)
    assert search(MAYBE % read, world(1), 0) == ("violated", "uninitialised-read")


def test_a_local_that_has_a_value_on_every_path_is_not_checked() -> None:
    text = "int f(int a)\n{\n\tint s;\n\n\tif (a)\n\t\ts = 1;\n\telse\n\t\ts = 2;\n\treturn s;\n}\n"
    assert "read_unset" not in python(text)
    assert "read_unset" in python(text.replace("s = 2", "a = 2"))


def test_what_a_loop_assigns_may_not_be_assigned_behind_it() -> None:
    text = "int f(int a)\n{\n\tint s;\n\n\twhile (a) {\n\t\ts = 1;\n\t\ta--;\n\t}\n\treturn s;\n}\n"
    assert run(text, 1) == 1
    with pytest.raises(PropertyViolated):
        run(text, 0)
    endless = "int f(int a)\n{\n\tint s;\n\n\tdo {\n\t\ts = a;\n\t} while (s > a);\n\treturn s;\n}\n"
    assert "read_unset" not in python(endless)


def test_a_member_of_a_structure_without_initialiser_has_no_value() -> None:
    text = "int f(int a)\n{\n\tstruct pair p;\n\n\tif (a)\n\t\tp.first = a;\n\treturn p.first;\n}\n"
    assert run(text, 4) == 4
    with pytest.raises(PropertyViolated):
        run(text, 0)
