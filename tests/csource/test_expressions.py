# SPDX-License-Identifier: GPL-2.0-only
"""Expressions, members and macros of C, by what the functions return."""

from __future__ import annotations

import pytest

from tests.csource.machine import loaded, python, refusal, run, world


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b * 2", 13),
        ("a / b", 0),
        ("a % b", 3),
        ("~a & 0xf", 12),
        ("a << 2 | 1", 13),
        ("a ?: b", 3),
        ("0 ?: b", 5),
        ("a > b ? a : b", 5),
        ("!a", 0),
        ("!!a", 1),
        ("a == 3 && b != 4", 1),
        ("a > 3 || b < 5", 0),
        ("(int)(unsigned long)a", 3),
        ("-1ul", 63),
        ("~0ul", 63),
        ("010", 8),
        ("'A'", 65),
        ("min_t(int, a, b) + max(a, b)", 8),
        ("twice(a)", 6),
        ("LIMIT", 3),
        ("-EINVAL", -22),
        ("sizeof(struct c_node)", 8),
        ("likely(a)", 3),
        ("IS_ENABLED(CONFIG_ON)", 1),
        ("IS_ENABLED(CONFIG_OFF)", 0),
        ("FLAG_A | FLAG_B", 3),
    ],
)
def test_numbers(expression: str, expected: int) -> None:
    text = f"#define FLAG_A 1\nenum x {{ FLAG_B = 2 }};\nint f(int a, int b)\n{{\n\treturn {expression};\n}}\n"
    assert run(text, 3, 5) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("w->head->number", 1),
        ("w->head->next->number", 2),
        ("w->head->part.size", 7),
        ("w->head->arch.number", 1),
        ("w->head->owner.id", 2),
        ("READ_ONCE(w->head->number)", 1),
        ("w->head->flags & NODE_OLD", True),
        ("(&w->head->arch)->number", 1),
        ("first_node(w)->number", 1),
        ("w->head == first_node(w)", True),
        ("w->head != NULL", True),
        ("!w->head", False),
        ("w->nodes[2].number", 3),
    ],
)
def test_members(expression: str, expected: int) -> None:
    shared = world(1, 2, 3)
    shared.nodes[0].part_size = 7
    shared.nodes[0].is_old = True
    assert run(f"int f(struct c_world *w)\n{{\n\treturn {expression};\n}}\n", shared) == expected


def test_a_number_becomes_a_truth_value_where_c_has_bool() -> None:
    text = "bool f(int a)\n{\n\tbool x = a & 4;\n\n\tx |= a & 8;\n\treturn x;\n}\n"
    assert [run(text, number) for number in (1, 4, 8)] == [False, True, True]


def test_null_is_none_for_a_record_and_zero_for_an_address() -> None:
    text = "void *f(struct c_world *w)\n{\n\tvoid *p = NULL;\n\n\tw->head = NULL;\n\treturn p;\n}\n"
    shared = world()
    assert run(text, shared) == 0
    assert shared.head is None


def test_a_call_with_two_results_in_a_condition_is_made_only_if_it_is_reached() -> None:
    text = """
int f(struct c_world *w, int a)
{
	int rest;

	if (a > 4 && split(a, &rest) == 2)
		return rest;
	return -1;
}
"""
    assert [run(text, world(), number) for number in (3, 9, 13)] == [-1, 1, -1]
    assert "if a > 4:\n        t_1, rest = self.split(a)" in python(text)


def test_flags_are_set_and_cleared() -> None:
    text = "void f(struct c_node *n)\n{\n\tn->flags |= NODE_OLD;\n\tn->next->flags &= ~NODE_OLD;\n}\n"
    shared = world(1, 2)
    shared.nodes[1].is_old = True
    run(text, shared.nodes[0])
    assert [node.is_old for node in shared.nodes] == [True, False]


def test_errors_as_pointers() -> None:
    text = """
static struct c_node *look(struct c_world *w, int number)
{
	if (number < 0)
		return ERR_PTR(-EINVAL);
	return find(w, number);
}
int f(struct c_world *w, int number)
{
	struct c_node *node = look(w, number);

	if (IS_ERR(node))
		return PTR_ERR(node);
	return node->number;
}
"""
    assert [run(text, world(1, 2), number) for number in (2, 5, -1)] == [2, -2, -22]


def test_barriers_have_no_effect_and_are_recorded() -> None:
    text = """
void f(struct c_world *w)
{
	smp_wmb();
	smp_store_release(&w->result, LIMIT);
	if (smp_load_acquire(&w->result))
		smp_mb();
}
"""
    shared = world()
    found = loaded(text)
    run(text, shared)
    assert shared.result == 3
    assert found.translated["f"].barriers == ("smp_wmb", "smp_store_release", "smp_load_acquire", "smp_mb")


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("return w->colour;", "the model's CNode has no member colour; enter it in the tables"),
        ("return nothing;", "the model has no nothing; enter it in the tables"),
        ("return missing(1);", "the model has no missing(); add the function to the model, or enter it in the tables"),
        ("return twice(1, 2);", "twice() has 2 arguments in C, and 1 in the model; enter it in the tables"),
        ("return sizeof(struct other);", "sizeof(other); enter it in the tables"),
        ("return w->next + 1;", "'w->next' is a CNode in the model, no number; enter it in the tables"),
        ("return *(int *)w->number;", "'*(int *)w->number' reads through a pointer; read a parameter for a result so"),
        ("nothing = 1;", "nothing is a variable outside the function; enter it in the tables"),
    ],
)
def test_what_is_not_known_is_refused(statement: str, what: str) -> None:
    text = f"int f(struct c_node *w)\n{{\n\t{statement}\n}}\n"
    assert refusal(text) == f"example.c:3: f(): {what}"
