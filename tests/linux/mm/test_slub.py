# SPDX-License-Identifier: GPL-2.0-only
"""mm/slub.c: objects between allocation and free."""

from __future__ import annotations

from pfncache.lang.records import Count, Record
from pfncache.linux.mm.slub import kfree, kzalloc
from tests.linux.conftest import reported


class Part(Record):
    number: Count = 4


class Object(Record, slab=True):
    value: Count = 7
    part: Part


def test_slab_objects_are_used_between_allocation_and_free() -> None:
    pool = (Object("a"), Object("b"))
    with reported("use-after-free"):
        assert pool[0].value
    first, second = kzalloc(pool), kzalloc(pool)
    assert (first, second, kzalloc(pool)) == (*pool, None)
    assert first is not None
    first.value = 1
    first.part.number = 2
    kfree(first)
    for use in (lambda: first.value, lambda: first.part.number, lambda: kfree(first)):
        with reported("use-after-free"):
            use()
    assert kzalloc(pool) is first
    assert (first.value, first.part.number) == (7, 4)  # zeroed


def test_fresh_objects_go_first() -> None:
    pool = (Object("a"), Object("b"))
    first = kzalloc(pool)
    kfree(first)
    assert kzalloc(pool) is pool[1]
