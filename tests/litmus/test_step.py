# SPDX-License-Identifier: GPL-2.0-only
"""Lines of a body as steps, and back."""

from __future__ import annotations

import pytest

from pfncache.litmus.event import EventKind, MemoryEvent, Order
from pfncache.litmus.step import NotLitmus, marked, step_of, steps_of

LINES = {
    "r0 = *x;": MemoryEvent(EventKind.READ, "x", Order.PLAIN),
    "r0 = READ_ONCE(*x);": MemoryEvent(EventKind.READ, "x", Order.ONCE),
    "r0 = smp_load_acquire(x);": MemoryEvent(EventKind.READ, "x", Order.ACQUIRE),
    "*x = r0 + 1;": MemoryEvent(EventKind.WRITE, "x", Order.PLAIN),
    "WRITE_ONCE(*x, 1);": MemoryEvent(EventKind.WRITE, "x", Order.ONCE),
    "smp_store_release(x, 1);": MemoryEvent(EventKind.WRITE, "x", Order.RELEASE),
    "atomic_or(1, x);": MemoryEvent(EventKind.UPDATE, "x", Order.RELAXED),
    "atomic_inc(x);": MemoryEvent(EventKind.UPDATE, "x", Order.RELAXED),
    "r0 = atomic_fetch_or(1, x);": MemoryEvent(EventKind.UPDATE, "x", Order.FULL),
    "r0 = atomic_fetch_or_relaxed(1, x);": MemoryEvent(EventKind.UPDATE, "x", Order.RELAXED),
    "r0 = cmpxchg(x, 0, 1);": MemoryEvent(EventKind.UPDATE, "x", Order.FULL),
    "r0 = atomic_add_unless(x, 1, 0);": MemoryEvent(EventKind.UPDATE, "x", Order.FULL),
    "smp_rmb();": MemoryEvent(EventKind.FENCE, "smp_rmb"),
    "rcu_read_lock();": MemoryEvent(EventKind.FENCE, "rcu_read_lock"),
    "spin_lock(l);": MemoryEvent(EventKind.LOCK, "l"),
    "spin_unlock(l);": MemoryEvent(EventKind.UNLOCK, "l"),
    "s_idx = srcu_read_lock(s);": MemoryEvent(EventKind.SRCU_LOCK, "s"),
    "srcu_read_unlock(s, s_idx);": MemoryEvent(EventKind.SRCU_UNLOCK, "s"),
    "synchronize_srcu(s);": MemoryEvent(EventKind.SRCU_SYNC, "s"),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_a_step_and_its_text(line: str) -> None:
    step = step_of(line)
    assert step.event == LINES[line]
    assert step.text == line


def test_conditions_are_nested() -> None:
    step = step_of("if (r0 == 0 && r1 == r2) *x = 1;")
    assert step.conditions == ("r0 == 0", "r1 == r2")
    assert step.text == "if (r0 == 0) { if (r1 == r2) { *x = 1; } }"
    assert step.reads == {"r0", "r1", "r2"}


def test_an_access_through_a_register() -> None:
    step = step_of("r1 = READ_ONCE(*r0); // x")
    assert step.event == MemoryEvent(EventKind.READ, "x", Order.ONCE)
    assert (step.through, step.text) == ("r0", "r1 = READ_ONCE(*r0);")
    assert step.ordered(Order.PLAIN).text == "r1 = *r0;"


@pytest.mark.parametrize(
    ("line", "order", "text"),
    [
        ("r0 = *x;", Order.ACQUIRE, "r0 = smp_load_acquire(x);"),
        ("*x = 1;", Order.RELEASE, "smp_store_release(x, 1);"),
        ("smp_store_release(x, 1);", Order.ONCE, "WRITE_ONCE(*x, 1);"),
        ("r0 = xchg(x, 1);", Order.RELAXED, "r0 = xchg_relaxed(x, 1);"),
    ],
)
def test_the_order_of_an_access(line: str, order: Order, text: str) -> None:
    assert step_of(line).ordered(order).text == text


@pytest.mark.parametrize(("line", "order"), [("r0 = *x;", Order.RELEASE), ("atomic_or(1, x);", Order.FULL)])
def test_an_order_that_there_is_not(line: str, order: Order) -> None:
    with pytest.raises(NotLitmus, match=r"^the litmus test has no "):
        step_of(line).ordered(order)


def test_what_is_plain_is_marked() -> None:
    steps = marked(steps_of("r0 = *x;\n\n  *y = 1;\n  smp_store_release(z, 1);\n  smp_mb();"))
    assert [step.text for step in steps] == [
        "r0 = READ_ONCE(*x);",
        "WRITE_ONCE(*y, 1);",
        "smp_store_release(z, 1);",
        "smp_mb();",
    ]


@pytest.mark.parametrize("line", ["x = 1", "printk(x);", "goto out;"])
def test_what_is_no_step(line: str) -> None:
    with pytest.raises(NotLitmus):
        step_of(line)
