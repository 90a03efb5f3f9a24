# SPDX-License-Identifier: GPL-2.0-only
"""What is removed from a test, and what is left."""

from __future__ import annotations

from pfncache.litmus.step import marked, steps_of
from pfncache.litmus.variants import Removal, Threads, can_race, variants

WRITER = """
spin_lock(l);
*a = 1;
spin_unlock(l);
smp_wmb();
smp_store_release(b, 1);
r9 = xchg(c, 1);
"""
READER = """
r0 = READ_ONCE(*b);
rcu_read_lock();
r1 = *a;
rcu_read_unlock();
"""
THREADS: Threads = (steps_of(WRITER), steps_of(READER))


def described(threads: Threads) -> list[tuple[int, Removal, str, list[str]]]:
    """Of each variant: the thread, what is removed, and what is left of the thread."""
    base = tuple(marked(steps) for steps in threads)
    found = variants(threads, base)
    return [(v.thread, v.removal, str(v.event), [s.text for s in v.threads[v.thread]]) for v in found]


def test_each_is_removed_in_turn() -> None:
    lock, write, unlock, fence, release, update = [
        "spin_lock(l);", "WRITE_ONCE(*a, 1);", "spin_unlock(l);", "smp_wmb();", "smp_store_release(b, 1);",
        "r9 = xchg(c, 1);",
    ]  # fmt: skip
    read_b, rcu, read_a, rcu_end = (
        "r0 = READ_ONCE(*b);",
        "rcu_read_lock();",
        "r1 = READ_ONCE(*a);",
        "rcu_read_unlock();",
    )
    assert described(THREADS) == [
        (0, Removal.DROPPED, "lock(l)", [write, fence, release, update]),
        (0, Removal.UNMARKED, "write of a", [lock, "*a = 1;", unlock, fence, release, update]),
        (0, Removal.DROPPED, "smp_wmb()", [lock, write, unlock, release, update]),
        (0, Removal.RELAXED, "smp_store_release(b)", [lock, write, unlock, fence, "WRITE_ONCE(*b, 1);", update]),
        (
            0,
            Removal.RELAXED,
            "atomic update(c), full",
            [lock, write, unlock, fence, release, "r9 = xchg_relaxed(c, 1);"],
        ),
        (1, Removal.UNMARKED, "READ_ONCE(b)", ["r0 = *b;", rcu, read_a, rcu_end]),
        (1, Removal.DROPPED, "rcu_read_lock()", [read_b, read_a]),
        (1, Removal.UNMARKED, "read of a", [read_b, rcu, "r1 = *a;", rcu_end]),
    ]


def test_what_is_no_c_of_the_kernel_stays() -> None:
    threads: Threads = (steps_of(WRITER, is_environment=True), steps_of("smp_rmb();"))
    assert described(threads) == [(1, Removal.DROPPED, "smp_rmb()", [])]


def test_an_access_races_with_a_write_of_another_thread() -> None:
    threads: Threads = (steps_of("*a = 1;\nr0 = *b;"), steps_of("r1 = *a;\nr2 = *b;\n*c = 1;"))
    assert {str(v.event): can_race(threads, v) for v in variants(threads, threads)} == {
        "write of a": True,
        "read of b": False,
        "read of a": True,
        "write of c": False,
    }
