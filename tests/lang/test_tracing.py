# SPDX-License-Identifier: GPL-2.0-only
"""The running task."""

from __future__ import annotations

import pytest

from pfncache.lang.records import Count, Record
from pfncache.lang.tracing import run_as, running


class Part(Record):
    number: Count = 4


class Whole(Record):
    flag: bool
    other: Whole | None
    part: Part
    pieces: tuple[Part, ...]


@pytest.fixture
def whole() -> Whole:
    return Whole("whole", pieces=(Part("first"), Part("second", number=5)))


def test_running_task(whole: Whole) -> None:
    with run_as(whole):
        with run_as(whole.part):
            assert running() is whole.part
        assert running() is whole
    assert running() is None
