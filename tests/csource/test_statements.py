# SPDX-License-Identifier: GPL-2.0-only
# ruff: noqa: E501 - C in strings
"""Statements, loops, switches and jumps of C, by what the functions return."""

from __future__ import annotations

import pytest

from tests.csource.machine import python, refusal, run, search, world


def body(text: str, result: str = "int") -> str:
    lines = "\n".join(f"\t{line}" for line in text.split("\n"))
    return f"{result} f(struct c_world *w, int a)\n{{\n{lines}\n}}\n"


LOOPS = {
    "while": ("int s = 0;\nwhile (a) {\ns += a;\na--;\n}\nreturn s;", {0: 0, 3: 6}),
    "do": ("int s = 0;\ndo {\ns++;\nif (s == 2)\ncontinue;\na--;\n} while (a > 0);\nreturn s;", {0: 1, 1: 1, 3: 4}),
    "for": ("int i, s = 0;\nfor (i = 0; i < a; i++) {\nif (i == 1)\ncontinue;\ns += i;\n}\nreturn s;", {0: 0, 4: 5}),
    "for in its own scope": ("int s = 0;\nfor (int i = a; i; --i)\ns++;\nreturn s;", {0: 0, 4: 4}),
    "a call with two results": ("int r, s = 0;\nwhile (split(a, &r)) {\na -= 4;\ns += r;\n}\nreturn s;", {3: 0, 9: 2}),
    "a block once": ("do {\nif (a == 1)\nbreak;\na = 5;\n} while (0);\nreturn a;", {1: 1, 2: 5}),
    "nested breaks": (
        "int i, j, s = 0;\nfor (i = 0; i < 3; i++) {\nfor (j = 0; j < 3; j++) {\nif (j == a)\nbreak;\ns++;\n}\n}\nreturn s;",
        {0: 0, 1: 3, 9: 9},
    ),
    "switch": (
        "switch (a) {\ncase 1:\ncase 2:\na = 10;\nbreak;\ncase 3:\na = 20;\nfallthrough;\ncase 4:\na++;\nbreak;\n"
        "default:\nreturn 7;\n}\nreturn a;",
        {1: 10, 2: 10, 3: 21, 4: 5, 5: 7},
    ),
    "a break inside a case": (
        "int i, s = 0;\nfor (i = 0; i < 4; i++) {\nswitch (i) {\ncase 1:\nif (a)\nbreak;\ns += 10;\nbreak;\ncase 2:\n"
        "if (a == 2)\ncontinue;\ns++;\nbreak;\n}\ns += 5;\n}\nreturn s;",
        {0: 31, 1: 21, 2: 15},
    ),
    "goto out": ("int r = 1;\nif (a == 1)\ngoto out;\nr = 2;\nif (a == 2)\ngoto out;\nr = 3;\nout:\nreturn r * 2;", {1: 2, 2: 4, 3: 6}),
    "goto out of loops": (
        "int i, j;\nfor (i = 0; i < 3; i++)\nfor (j = 0; j < 3; j++)\nif (i * 3 + j == a)\ngoto found;\nreturn -1;\n"
        "found:\nreturn i * 10 + j;",
        {5: 12, 9: -1},
    ),
    "labels in a row": (
        "int r = 0;\nif (a == 1)\ngoto one;\nif (a == 2)\ngoto two;\nr += 30;\ntwo:\nr += 10;\none:\nr += 1;\nreturn r;",
        {0: 41, 1: 1, 2: 11},
    ),
    "retry": ("int n = 0;\nagain:\nn++;\nif (n < a)\ngoto again;\nreturn n;", {0: 1, 3: 3}),
    "retry out of an inner loop": (
        "int i, n = 0;\nagain:\nn++;\nfor (i = 0; i < 3; i++) {\nif (n < a && i == 1)\ngoto again;\n}\nreturn n * 10 + i;",
        {0: 13, 3: 33},
    ),
    "retry out of two loops and a switch": (
        "int i, n = 0;\nagain:\nn++;\nfor (i = 0; i < 2; i++) {\ndo {\nswitch (i) {\ncase 1:\nif (n < a)\ngoto again;\n"
        "break;\n}\n} while (0);\n}\nreturn n;",
        {0: 1, 3: 3},
    ),
    "a label in a loop": (
        "int i, s = 0;\nfor (i = 0; i < 3; i++) {\nif (i == a)\ngoto next;\ns += 10;\nnext:\ns++;\n}\nreturn s;",
        {1: 23, 5: 33},
    ),
    "two of one name": ("int s = a;\nif (a) {\nint s = 5;\na += s;\n}\n{\nint s = 2;\na += s;\n}\nreturn a + s;", {0: 2, 1: 9}),
    "a name of Python": ("int in = a, self = 2, len = 3;\nreturn in + self + len;", {1: 6}),
    "comma and conditional effects": ("int b;\nb = 1, a += b;\na > 3 ? a++ : a--;\nreturn a;", {1: 1, 4: 6}),
    "increments as values": ("int b = a++;\nint c = ++a;\nreturn b * 10 + c;", {1: 13}),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_control_flow(name: str) -> None:
    text, expected = LOOPS[name]
    assert {number: run(body(text), world(), number) for number in expected} == expected


@pytest.mark.parametrize("name", LOOPS)
def test_the_checker_takes_the_same_way(name: str) -> None:
    """The compiled form of the function gives what the direct call gives: the function compares, and fails if not."""
    text, expected = LOOPS[name]
    for number, result in expected.items():
        check = (
            f"\nint g(struct c_world *w)\n{{\n\tw->head->number = f(w, {number});\n\tif (w->head->number != {result})\n"
        )
        check += "\t\ttake(&w->lock), take(&w->lock);\n\treturn 0;\n}\n"
        assert search(body(text) + check, world(), name="g") == ("holds", None)


def test_a_guard_ends_with_its_block() -> None:
    text = """
int f(struct c_world *w, int a)
{
	if (a == 1) {
		guard(lock)(&w->lock);
		if (w->lock.held)
			a = 5;
	}
	if (w->lock.held)
		return -1;
	scoped_guard(lock, &w->lock) {
		if (a == 5)
			return 7;
	}
	return a;
}
"""
    shared = world()
    assert [run(text, shared, number) for number in (1, 2)] == [7, 2]
    assert not shared.lock.held


def test_a_goto_out_of_a_guard_is_refused() -> None:
    text = body("if (a) {\nguard(lock)(&w->lock);\nif (a == 2)\ngoto out;\n}\na = 1;\nout:\nreturn a;")
    assert refusal(text) == (
        "example.c:6: f(): goto out leaves the block of a guard; use return, or a function of its own"
    )


def test_lists_and_generators() -> None:
    text = """
int f(struct c_world *w)
{
	struct c_node *n;
	int s = 0;

	list_for_each_entry(n, &w->list, link) {
		if (n->number == 3)
			continue;
		s += n->number;
	}
	for_each_even(n, w)
		s += 100;
	return s;
}
"""
    shared = world(1, 2, 3, 4)
    for node in shared.nodes[:3]:
        node.ready = True
    assert run(text, shared) == 203


def test_a_store_is_reported_unless_the_table_says_not() -> None:
    shared = world()
    run(body("w->result = a;\nw->result = LIMIT;\nw->result++;", "void"), shared, 1)
    assert (shared.result, shared.trace) == (4, 1)


def test_lines_are_those_of_the_c() -> None:
    assert python(body("w->result = a;\n\n\nreturn w->result;")) == (
        "def f(self, w: CWorld | None, a: int) -> int:\n    w.result = a\n    self.note(w)\n    return w.result"
    )


def test_a_constant_that_is_static_is_a_local() -> None:
    assert "n = 3\n" in python(body("static const int n = 3;\nreturn n;"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "static const char *n = 0;\nreturn 0;",
            "3: f(): the static local in 'static const char *n = 0;'; use a member of a structure",
        ),
        ("static int n;\nreturn n;", "3: f(): the static local in 'static int n;'; use a member of a structure"),
        ("int n[3];\nreturn 0;", "3: f(): the array n; use separate locals"),
        ("goto out;\nreturn 0;", "3: f(): goto out: there is no such label; correct the C"),
        ("guard(other)(&w->lock);\nreturn 0;", "3: f(): guard(other); enter it in the tables"),
        ("if (a)\nlist_for_each_entry(w, &x->y, z)\na++;\nreturn a;", "4: f(): the model has no x; enter it in the tables"),
        ("for_each_thing(w)\na++;\nreturn 0;", "3: f(): for_each_thing(); enter it in the tables"),
        ("asm(\"nop\");\nreturn 0;", "3: f(): the instructions 'nop'; enter it in the tables"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, what: str) -> None:
    assert refusal(body(text)) == f"example.c:{what}"
