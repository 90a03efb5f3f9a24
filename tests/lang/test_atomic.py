# SPDX-License-Identifier: GPL-2.0-only
"""Atomic steps, blocking conditions and guards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pfncache.lang.atomic import WouldBlock, atomic, block_until, guard
from pfncache.lang.records import Count, Record


class Part(Record):
    number: Count = 4


class Whole(Record):
    flag: bool
    other: Whole | None
    part: Part
    pieces: tuple[Part, ...]


@guard
def counting(whole: Whole) -> Iterator[int]:
    whole.part.number += 1
    yield whole.part.number
    whole.part.number -= 1


@pytest.fixture
def whole() -> Whole:
    return Whole("whole", pieces=(Part("first"), Part("second", number=5)))


def test_guard_ends_with_the_block(whole: Whole) -> None:
    def leave() -> int:
        with counting(whole):
            return whole.part.number

    assert (leave(), whole.part.number) == (5, 4)


def test_a_step_that_is_never_enabled(whole: Whole) -> None:
    @atomic
    def wait() -> bool:
        block_until(whole.flag)
        return True

    with pytest.raises(WouldBlock, match="wait would block forever"):
        wait()
    whole.flag = True
    assert wait()
