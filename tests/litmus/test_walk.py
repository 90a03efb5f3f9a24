# SPDX-License-Identifier: GPL-2.0-only
"""Events of functions in C of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pfncache.litmus.slice import Function, Slice
from pfncache.litmus.source import KernelSource, NoSuchFunction
from pfncache.litmus.walk import events

FILE = "ours.c"
LOOP = "\tlist_for_each_entry(p, &t->a, list) {\n\t\tt->b = 1;\n\t\tcontinue;\n\t}\n\tt->c = 1;"


def found(tmp_path: Path, body: str, tracks: str = "a b c l=lock", more: str = "", **options: Any) -> list[str]:
    """The events of a function with a body."""
    (tmp_path / FILE).write_text(f"{more}\nstatic int f(struct thing *t, int n)\n{{\n{body}\n}}\n")
    part = Slice(function=Function(FILE, "f"), tracks=tracks, body="", **options)
    return [str(event) for event in events(KernelSource(tmp_path), part)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("t->a = t->b;", ["read of b", "write of a"]),
        ("t->a++;", ["read of a", "write of a"]),
        ("t->a += t->b;", ["read of b", "read of a", "write of a"]),
        ("n = t->in.a[t->b];", ["read of b", "read of a"]),
        ("int x = t->a, y = !t->b;", ["read of a", "read of b"]),
        ("t->a = t->b = 1;", ["write of b", "write of a"]),
        ("other(&t->a, t->b);", ["read of b"]),
        ("n = sizeof(t->a);", []),
        ("WRITE_ONCE(t->a, READ_ONCE(t->b));", ["READ_ONCE(b)", "WRITE_ONCE(a)"]),
        ("smp_store_release(&t->a, 1);", ["smp_store_release(a)"]),
        ("rcu_assign_pointer(t->a[n], 1);", ["smp_store_release(a)"]),
        ("smp_store_mb(t->a, 1);", ["WRITE_ONCE(a)", "smp_mb()"]),
        ("set_bit(n & 7, (void *)&t->a);", ["atomic update(a), relaxed"]),
        ("n = test_and_set_bit(n, &t->a);", ["atomic update(a), full"]),
        ("n = cmpxchg(&t->a, 0, t->b);", ["read of b", "atomic update(a), full"]),
        ("virt_rmb(); smp_mb__after_atomic();", ["smp_rmb()", "smp_mb__after_atomic()"]),
        ("spin_lock_irqsave(&t->l, n); write_unlock(&t->l); mutex_lock(&t->m);", ["lock(lock)", "unlock(lock)"]),
        ("n = srcu_read_lock(&t->c); srcu_read_unlock(&t->c, n);", ["srcu_read_lock(c)", "srcu_read_unlock(c)"]),
        ("guard(mutex)(&t->l); t->a = 1; return t->b;", ["lock(lock)", "write of a", "read of b", "unlock(lock)"]),
    ],
)
def test_statements(tmp_path: Path, body: str, expected: list[str]) -> None:
    assert found(tmp_path, body) == expected


@pytest.mark.parametrize(
    ("body", "options", "expected"),
    [
        ("if (t->a) return 1; t->b = 1;", {}, ["read of a", "write of b"]),
        ("if (t->a) { t->c = 1; return 1; } t->b = 1;", {"enter": ("t->a",)}, ["read of a", "write of c"]),
        ("if (t->a) t->b = 1; else t->c = 1;", {}, ["read of a", "write of b"]),
        ("if (t->a) t->b = 1; else t->c = 1;", {"skip": ("t->a",)}, ["read of a", "write of c"]),
        ("while (t->a) { t->b = 1; }", {}, ["read of a"]),
        ("while (t->a) { t->b = 1; }", {"enter": ("t->a",)}, ["read of a", "write of b"]),
        ("do { t->b = 1; } while (t->a); t->c = 1;", {}, ["write of b", "read of a", "write of c"]),
        (LOOP, {}, ["write of b", "write of c"]),
        (LOOP, {"skip": ("list_for_each_entry(p, &t->a, list)",)}, ["write of c"]),
        ("if (n) goto out; t->a = 1; out: t->b = 1; return 0; t->c = 1;", {}, ["write of a", "write of b"]),
        ("if (n) goto out; t->a = 1; out: t->b = 1;", {"enter": ("n",)}, ["write of b"]),
        ("switch (t->a) { case A: t->b = 1; break; case B: t->c = 1; }", {}, ["read of a"]),
        (
            "switch (t->a) { case A: t->b = 1; break; case B: t->c = 1; }",
            {"enter": ("A",)},
            ["read of a", "write of b"],
        ),
        ("t->a = 1; t->b = 1; t->c = 1;", {"since": "t->b", "until": "t->b"}, ["write of b"]),
        ("if (READ_ONCE(t->a)) { t->b = 1; return 1; }", {"enter": ("t->a",)}, ["READ_ONCE(a)", "write of b"]),
        ("t->a = 1; WRITE_ONCE(t->b, 1); t->c = 1;", {"since": "t->b = 1"}, ["WRITE_ONCE(b)", "write of c"]),
        ("t->a = 1; t->b = 1; t->c = 1;", {"omit": ("t->b",)}, ["write of a", "write of c"]),
        ("t->a = t->b;", {"unread": "b"}, ["write of a"]),
        ("get(t); put(t->b);", {"calls": {"get": "lock lock, read a once", "put": ""}}, ["lock(lock)", "READ_ONCE(a)"]),
    ],
)
def test_paths(tmp_path: Path, body: str, options: dict[str, Any], expected: list[str]) -> None:
    assert found(tmp_path, body, **options) == expected


def test_a_call_is_walked_into(tmp_path: Path) -> None:
    more = "static int g(struct thing *t)\n{\n\tif (!t->b)\n\t\treturn 1;\n\tt->c = 1;\n\treturn 0;\n}\n"
    inline = {"g": Function(FILE, "g"), "hook": Function(FILE, "g")}
    body = "t->a = g(t); t->ops->hook(t);"
    expected = ["read of b", "write of c", "write of a", "read of b", "write of c"]
    assert found(tmp_path, body, more=more, inline=inline) == expected


def test_a_place_is_as_long_as_it_is_tracked(tmp_path: Path) -> None:
    body = "t->x.v = u->x.v; *p = p[1]; p = q;"
    assert found(tmp_path, body, tracks="t->x.v=one v=other p") == [
        "read of other",
        "write of one",
        "read of p",
        "write of p",
    ]


def test_assembly_with_a_lock_prefix(tmp_path: Path) -> None:
    body = 'asm volatile(LOCK_PREFIX "orq %0, %1\\n" : "=r" (n), "+m" (t->a), "+m" (t->b) : "0" (n));'
    assert found(tmp_path, body) == ["atomic update(a), full", "atomic update(b), full"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": "nothing"}, r"^f\(\) has no statement with 'nothing'$"),
        ({"inline": {"g": Function(FILE, "g")}}, r"^there is no function g\(\) in ours\.c$"),
        ({"inline": {"g": Function("other.c", "g")}}, r"^there is no file other\.c$"),
        ({"inline": {"g": Function(FILE, "f")}}, r"^f\(\) is too deep in calls of f\(\)$"),
    ],
)
def test_what_there_is_not(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NoSuchFunction, match=message):
        found(tmp_path, "g(t); t->a = 1;", **options)


def test_an_event_has_its_place_and_function(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("int f(struct thing *t)\n{\n\tint n;\n\n\tt->a = 1;\n\tspin_lock(&t->l);\n}\n")
    part = Slice(function=Function(FILE, "f"), tracks="a l", body="")
    assert [(e.place, e.function) for e in events(KernelSource(tmp_path), part)] == [
        ("ours.c:5", "f"),
        ("ours.c:6", "f"),
    ]
