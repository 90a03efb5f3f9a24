# SPDX-License-Identifier: GPL-2.0-only
"""Protocols that were proposed and are in no kernel: no part of them is C, and no barrier of theirs is removed.

In October 2024, an invalidation was to say which range it is about, and a refresh to retry for its own address alone.
The notifier was to look at a cache without the cache's lock first, and a refresh to set valid before it tests whether
to retry.
"""

from __future__ import annotations

from pfncache.litmus.protocol import Environment, LitmusTest, LitmusVerdict, Thread

NOT_C = "No kernel has it; the barriers are ours."


def _thread(what: str, body: str) -> Thread:
    return Thread(what, (Environment(what, body),))


def _valid(barrier: str, name: str, expected: LitmusVerdict) -> LitmusTest:
    """Return a test of valid against the count, with a barrier between them on both sides."""
    return LitmusTest(
        name=name,
        protects="a notifier that finds a cache invalid is seen by the refresh that makes it valid",
        threads=(
            _thread(
                "notifier",
                f"""
                spin_lock(mn_invalidate_lock);
                WRITE_ONCE(*count, 1);
                {barrier}
                found = READ_ONCE(*valid);
                spin_unlock(mn_invalidate_lock);
                """,
            ),
            _thread(
                "refresh",
                f"""
                spin_lock(cache_lock);
                WRITE_ONCE(*valid, 1);
                {barrier}
                retry = READ_ONCE(*count);
                spin_unlock(cache_lock);
                """,
            ),
        ),
        never="0:found=0 /\\ 1:retry=0",
        expected=expected,
        abstraction=NOT_C,
    )


def _range(first: str, second: str, name: str, expected: LitmusVerdict) -> LitmusTest:
    """Return a test of the range against the count, which are written in this order."""
    return LitmusTest(
        name=name,
        protects="a refresh that counts an invalidation finds its range",
        threads=(
            _thread(
                "notifier",
                f"""
                spin_lock(mn_invalidate_lock);
                WRITE_ONCE(*{first}, 1);
                smp_wmb();
                WRITE_ONCE(*{second}, 1);
                spin_unlock(mn_invalidate_lock);
                """,
            ),
            _thread(
                "refresh",
                """
                spin_lock(cache_lock);
                counted = READ_ONCE(*count);
                smp_rmb();
                covered = READ_ONCE(*range);
                spin_unlock(cache_lock);
                """,
            ),
        ),
        never="1:counted=1 /\\ 1:covered=0",
        expected=expected,
        abstraction=NOT_C,
    )


TESTS = (
    _valid("smp_mb();", "range/valid", LitmusVerdict.ORDERED),
    _valid("", "range/valid-without-smp_mb", LitmusVerdict.BROKEN),
    _range("range", "count", "range/before-count", LitmusVerdict.ORDERED),
    _range("count", "range", "range/after-count", LitmusVerdict.BROKEN),
)
