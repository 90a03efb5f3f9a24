# SPDX-License-Identifier: GPL-2.0-only
"""A record with parts, for the tests of the language."""

from __future__ import annotations

import pytest

from pfncache.lang.records import Count, Record


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
