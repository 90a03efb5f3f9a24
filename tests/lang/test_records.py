# SPDX-License-Identifier: GPL-2.0-only
"""The language of the model, called directly: records, slabs, steps, reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pfncache.lang.atomic import WouldBlock, atomic, block_until, guard
from pfncache.lang.choose import choose
from pfncache.lang.records import Count, Record
from pfncache.lang.report import PropertyViolated, report
from pfncache.lang.tracing import run_as, running
from pfncache.linux.mm.slub import kfree, kzalloc
from tests.linux.conftest import reported


class Part(Record):
    number: Count = 4


class Whole(Record):
    flag: bool
    other: Whole | None
    part: Part
    pieces: tuple[Part, ...]


class Object(Record, slab=True):
    value: Count = 7
    part: Part


@guard
def counting(whole: Whole) -> Iterator[int]:
    whole.part.number += 1
    yield whole.part.number
    whole.part.number -= 1


@pytest.fixture
def whole() -> Whole:
    return Whole("whole", pieces=(Part("first"), Part("second", number=5)))


def test_members_have_their_defaults(whole: Whole) -> None:
    assert (whole.flag, whole.other, whole.part.number) == (False, None, 4)
    assert [(str(part), part.number) for part in whole.pieces] == [("first", 4), ("second", 5)]
    assert (str(whole.part), whole.part.role, whole.pieces[0].role) == ("whole.part", "Whole.part", "Part")


def test_members_are_those_that_are_annotated() -> None:
    with pytest.raises(TypeError, match="Whole has no member 'colour'"):
        Whole("whole", pieces=(), colour=1)
    with pytest.raises(TypeError, match=r"Whole\.pieces must be given"):
        Whole("whole")


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


def test_guard_ends_with_the_block(whole: Whole) -> None:
    def leave() -> int:
        with counting(whole):
            return whole.part.number

    assert (leave(), whole.part.number) == (5, 4)


def test_a_wait_that_nobody_ends(whole: Whole) -> None:
    @atomic
    def wait() -> bool:
        block_until(whole.flag)
        return True

    with pytest.raises(WouldBlock, match="wait would wait for ever"):
        wait()
    whole.flag = True
    assert wait()


def test_outcomes_that_nobody_decides_are_the_first() -> None:
    assert choose(3) == 0


def test_report() -> None:
    with pytest.raises(PropertyViolated) as splat:
        report("kind", "what happened")
    assert str(splat.value) == "kind: what happened"


def test_running_task(whole: Whole) -> None:
    with run_as(whole):
        with run_as(whole.part):
            assert running() is whole.part
        assert running() is whole
    assert running() is None
