# SPDX-License-Identifier: GPL-2.0-only
"""Entries of the tables that join C and a model."""

from __future__ import annotations

from dataclasses import replace

from pfncache.csource.load import load_text
from pfncache.csource.tables import CallEntry, Hook, MemberEntry
from tests.csource.machine import TABLES, kernel_of, loaded, python, refusal, world

FILE = "example.c"
JOINED = replace(
    TABLES,
    declarations=TABLES.declarations + " struct view { int number; };",
    members={
        **TABLES.members,
        ("CNode", "flags"): MemberEntry("{0}.number", "for the tests", store="self.set_flags({0}, {1})"),
    },
    elements={
        ("CWorld", "heads"): MemberEntry("{0}.head", "for the tests", "CNode"),
        ("CWorld", "all"): MemberEntry("{0}.nodes", "for the tests", "CNode*"),
        ("CWorld", "marks"): MemberEntry("{0}.trace", "for the tests", store="self.set_mark({0}, {1})"),
    },
    opaque_members={("CWorld", "statistics"): "for the tests"},
    records_in={(FILE, "view"): "CNode"},
    calls_on={("allocate", "CNode"): CallEntry("self.first_node({struct:c_world})", "for the tests", "CNode")},
    returns={"f": Hook("self.note({local:w})", "for the tests", unless="^-")},
    by_hand={"aside/2": "for the tests"},
)


def body(text: str) -> list[str]:
    """What the function f() becomes, without its head."""
    return python(text, tables=JOINED).splitlines()[1:]


def test_a_member_that_is_stored_by_a_call() -> None:
    assert body("void f(struct c_world *w) { w->head->flags = w->head->flags; }") == [
        "    self.set_flags(w.head, w.head.number)",
        "    self.note(w)",
        "    return",
    ]


def test_an_element_of_an_array_that_the_model_has_in_another_form() -> None:
    text = "int f(struct c_world *w, int i) { w->heads[i] = w->all[i][1]; w->marks[i] = 3; return -1; }"
    assert body(text) == ["    w.head = w.nodes[1]", "    self.set_mark(w, 3)", "    return -1"]


def test_a_member_that_the_model_does_not_have() -> None:
    text = "int f(struct c_world *w) { atomic_set(&w->statistics, atomic_read(&w->statistics) + 1); return -1; }"
    assert body(text) == ["    return -1"]
    tested = "int f(struct c_world *w) { if (w->statistics) return 1; return 0; }"
    assert refusal(tested, tables=JOINED) == "example.c:1: f(): a test of CWorld.statistics; enter it in the tables"


def test_a_structure_that_is_another_record_in_one_file() -> None:
    text = "int f(struct c_world *w, struct view *v) { return -v->number; }"
    assert python(text, tables=JOINED) == (
        "def f(self, w: CWorld | None, v: CNode | None) -> int:\n    return -v.number"
    )


def test_an_allocation_goes_by_the_record_of_which_it_gets_the_size() -> None:
    by_size = "int f(struct c_world *w) { struct c_node *n = allocate(sizeof(*n)); return -1; }"
    by_object = "int f(struct c_world *w) { struct c_node *n = allocate(*n); return -1; }"
    assert body(by_size) == body(by_object) == [
        "    n: CNode | None = self.first_node(w)",
        "    return -1",
    ]  # fmt: skip


def test_a_hook_before_a_function_returns() -> None:
    text = "int f(struct c_world *w, int i) { if (i) return -1; return 0; }"
    assert body(text) == ["    if i != 0:", "        return -1", "    self.note(w)", "    return 0"]
    other = "int f(struct c_world *v) { return 0; }"
    assert refusal(other, tables=JOINED) == (
        "example.c:1: f(): there is no local w, which the model's reports need; enter it in the tables"
    )


def test_a_function_is_by_hand_with_one_number_of_parameters() -> None:
    text = "int aside(int a, int b) { return no_such(a); }"
    found = load_text(text, JOINED, FILE)
    assert (found.refused, found.by_hand["aside"]) == ({}, "for the tests")
    assert list(load_text("int aside(int a) { return a; }", JOINED, FILE).translated) == ["aside"]


def test_a_pointer_to_a_structure_that_may_be_null() -> None:
    text = """
        int g(struct pair *p) { if (!p) return 7; return p->first; }
        int f(struct c_world *w, int i) { struct pair p = { .first = i }; return g(&p) * 8 + g(NULL); }
    """
    assert kernel_of(loaded(text)).f(world(), 2) == 23


def test_a_pointer_in_a_structure_is_set_to_null() -> None:
    text = """
        void g(struct pair *p) { if (p->out) *p->out = 5; }
        void h(struct pair *p) { p->out = NULL; g(p); }
        int f(int keep) { int r = 1; struct pair p = { .out = &r }; if (keep) g(&p); else h(&p); return r; }
    """
    kernel = kernel_of(loaded(text))
    assert (kernel.f(1), kernel.f(0)) == (5, 1)


def test_the_address_of_a_pointer_in_a_structure() -> None:
    text = """
        void g(struct c_world *w, struct c_node **out) { *out = w->head; }
        int f(struct c_world *w) { struct pair p = { .first = 0 }; g(w, &p.node); return p.node->number; }
    """
    assert kernel_of(loaded(text)).f(world(6, 2)) == 6
