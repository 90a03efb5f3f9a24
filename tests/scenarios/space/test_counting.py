# SPDX-License-Identifier: GPL-2.0-only
"""What part of a space some points are: counted, and compared with what enumeration finds."""

from __future__ import annotations

from itertools import combinations

import pytest

from pfncache.scenarios.space.arrays import SERIES_ONLY, covering, factors, row_of, thorough
from pfncache.scenarios.space.counting import count, coverage_of
from pfncache.scenarios.space.covering import Factors
from pfncache.scenarios.space.names import point_named
from pfncache.scenarios.space.space import SPACE, Space
from pfncache.scenarios.world import MemoryKind
from tests.scenarios.space.test_covering import FACTORS

SMALL = Space(
    only={
        "memory": ["anon", "gmem-unmapped"], "user": ["clock", "guest"], "operation": ["munmap", "punch"],
        "memslots": ["one", "hole"], "context": ["task"], "start": ["valid"], "pages": ["1", "2"], "rounds": ["1"],
        "binding": ["start"],
    },
)  # fmt: skip
EVERY = [str(kind) for kind in MemoryKind]


@pytest.mark.parametrize(
    "some",
    [FACTORS, Factors((4, 5)), factors(SMALL), Factors((2, 2), [((0,), lambda a: False)])],
    ids=["rules", "no rule", "space", "none"],
)
def test_rows_are_counted(some: Factors) -> None:
    assert count(some) == len(list(some.rows()))


@pytest.mark.parametrize(
    "memory", [EVERY, [kind for kind in EVERY if kind not in SERIES_ONLY]], ids=["all", "mainline"]
)
def test_the_array_has_every_pair(memory: list[str]) -> None:
    found = coverage_of([scenario.point for scenario in covering()], memory)
    assert found.pairs == found.of_pairs > 2400
    assert found.points == sum(scenario.memory in memory for scenario in covering()) <= 500
    assert found.of_points > 2_000_000


@pytest.mark.parametrize("space", [SPACE, SMALL], ids=["catalogue", "small"])
def test_the_thorough_array_has_every_triple(space: Space) -> None:
    found = factors(space)
    numbers = [list(space.by_name).index(name) for name in ("memory", "user", "operation", "start")]
    rows = [row_of(scenario.point, space) for scenario in thorough(space)]
    occurring = {
        (three, tuple(row[number] for number in three))
        for row in rows if row is not None
        for three in combinations(numbers, 3)
    }  # fmt: skip
    assert set(found.combinations(3, numbers)) == occurring
    assert None not in rows


def test_part_of_a_space() -> None:
    points = [point_named(name) for name in ("space/anon/clock+munmap", "space/anon/clock+munmap/pages=2")]
    found = coverage_of([*points, points[0], point_named("space/memfd/clock+munmap")], ["anon", "gmem-unmapped"], SMALL)
    assert (found.points, found.pairs) == (2, 78 + 12)  # of 13 dimensions: each two; then those of the two with pages
    assert found.of_points == sum(1 for _ in factors(SMALL).rows())
    assert str(found).startswith(f"2 of {found.of_points:,} points, with 90 of {found.of_pairs:,} pairs of values")


def test_a_kernel_without_the_memory_has_less_of_the_space() -> None:
    some, every = (coverage_of([], memory, SMALL) for memory in (["anon"], EVERY))
    of_anon = sum(SMALL.by_name["memory"].names[row[0]] == "anon" for row in factors(SMALL).rows())
    assert (some.of_points, every.of_points) == (of_anon, count(factors(SMALL)))
