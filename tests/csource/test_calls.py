# SPDX-License-Identifier: GPL-2.0-only
"""Calls between translated functions: results through pointers, structures, functions as values."""

from __future__ import annotations

import pytest

from pfncache.csource.load import load_text
from tests.csource.machine import TABLES, loaded, python, refusal, run, search, world

RESULTS = """
static int divide(int a, int *rest, struct c_node **node, struct c_world *w)
{
	if (a < 0)
		return -EINVAL;
	*rest = a % 4;
	if (node)
		*node = w->head->next;
	return a / 4;
}
int f(struct c_world *w, int a)
{
	struct c_node *n = NULL;
	int rest = 9, r;

	r = divide(a, &rest, &n, w);
	if (r < 0)
		return r + rest;
	return r * 100 + rest * 10 + n->number;
}
int g(struct c_world *w, int a)
{
	int rest;

	return divide(a, &rest, NULL, w) + rest;
}
static int pass(int a, int *rest, struct c_world *w)
{
	return divide(a, rest, NULL, w);
}
int h(struct c_world *w, int a)
{
	int rest = 0;

	pass(a, &rest, w);
	return rest;
}
"""


def test_results_through_pointers() -> None:
    shared = world(1, 2)
    assert run(RESULTS, shared, 9) == 212
    assert run(RESULTS, shared, -1) == -13
    assert run(RESULTS, shared, 9, name="g") == 3
    assert run(RESULTS, shared, 7, name="h") == 3


STRUCTURES = """
static bool use(struct pair *p, int a)
{
	p->first += a;
	*p->out = p->first;
	return p->second;
}
static struct pair make(int a)
{
	struct pair p = {
		.first = a,
		.second = a > 2,
	};

	return p;
}
int f(struct c_world *w, int a)
{
	int out = 0;
	struct pair p = {
		.node = w->head,
		.out = &out,
	};
	struct pair *q = &p;

	q->first = 10;
	if (use(q, a))
		return -1;
	p.second = make(a).second;
	return p.first + out + p.second + q->node->number;
}
"""


def test_structures_are_taken_apart() -> None:
    assert run(STRUCTURES, world(1), 2) == 25
    assert run(STRUCTURES, world(1), 3) == 28
    assert search(STRUCTURES, world(1), 3) == ("holds", None)


HANDLERS = """
struct work { int number; bool (*handler)(struct c_world *w, struct work *k); };
#define IS_NONE(fn) ((fn) == (void *)none)
static bool none(struct c_world *w, struct work *k)
{
	return false;
}
static bool add(struct c_world *w, struct work *k)
{
	w->trace += k->number;
	return true;
}
static int walk(struct c_world *w, struct work *k)
{
	if (IS_NONE(k->handler))
		return 7;
	return k->handler(w, k);
}
int f(struct c_world *w, int a)
{
	struct work k = { .number = a, .handler = add };
	struct work l = { .number = a, .handler = none };

	return walk(w, &k) * 10 + walk(w, &l);
}
"""


def test_functions_are_values() -> None:
    shared = world(1)
    assert run(HANDLERS, shared, 5) == 17
    assert shared.trace == 5
    assert search(HANDLERS, world(1), 5) == ("holds", None)


def test_a_function_that_calls_a_refused_one_is_refused() -> None:
    text = """
static int bad(void)
{
	return missing();
}
int f(void)
{
	return bad();
}
int g(void)
{
	return f();
}
"""
    found = load_text(text, TABLES)
    assert sorted(found.refused) == ["bad", "f", "g"]
    assert str(found.refused["g"]) == "example.c:12: g(): it calls f(), which is not translated; see f()"
    assert found.functions == {}


def test_the_parameters_of_a_function_of_the_model_keep_their_names() -> None:
    text = "int twice(int a)\n{\n\treturn a * 2;\n}\n"
    assert python(text, "twice") == "def twice(self, number: int) -> int:\n    return number * 2"


def test_a_function_that_takes_something_else_has_a_name_of_its_own() -> None:
    text = "int twice(int a, int b)\n{\n\treturn a + b;\n}\nint f(void)\n{\n\treturn twice(1, 2);\n}\n"
    found = loaded(text)
    assert found.translated["twice"].method == "c_twice"
    assert found.translated["f"].calls == ("twice",)
    assert run(text) == 3


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("int g(int a)\n{\n\treturn a;\n}\nint f(void)\n{\n\treturn g(1, 2);\n}\n",
         "7: f(): g() takes 1 arguments, the call has 2; correct the call"),
        ("int g(int *a)\n{\n\treturn *a;\n}\nint f(struct c_node *n)\n{\n\treturn g(&n->number);\n}\n",
         "7: f(): '&n->number' receives a result; pass the address of a local"),
        ("int f(int (*g)(int), struct c_world *w)\n{\n\treturn w->run(1);\n}\n",
         "3: f(): the model's CWorld has no member run; enter it in the tables"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, what: str) -> None:
    assert refusal(text) == f"example.c:{what}"
