# SPDX-License-Identifier: GPL-2.0-only
"""Points that are drawn at random."""

from __future__ import annotations

from collections import Counter

from pfncache.scenarios.space.arrays import factors, row_of
from pfncache.scenarios.space.names import point_named, values_of_name
from pfncache.scenarios.space.sampling import sample
from tests.scenarios.space.test_counting import EVERY, SMALL


def test_points_are_different_and_allowed() -> None:
    found = sample(300, 7, EVERY)
    assert len(set(found.points)) == 300
    assert all(point.broken is None for point in found.points)
    assert str(found) == f"300 of {found.of_points:,} points of the space, drawn with seed 7"
    assert {point["memory"] for point in found.points} == set(EVERY)


def test_a_seed_gives_the_same_points_and_a_larger_sample_more() -> None:
    first = sample(40, 7, EVERY).points
    assert sample(40, 7, EVERY).points == first
    assert sample(60, 7, EVERY).points[:40] == first
    assert not set(sample(40, 8, EVERY).points) & set(first)


def test_a_space_that_is_small_is_had_whole() -> None:
    rows = [row for row in factors(SMALL).rows() if row[0] == 0]
    found = sample(10_000, 1, ["anon"], SMALL)
    assert [row_of(point, SMALL) for point in found.points] == rows
    assert str(found) == f"all {len(rows):,} points of the space"


def test_every_point_has_the_same_probability() -> None:
    """Each of the points is drawn first in about the same number of 4,000 samples of one."""
    whole = sample(10_000, 1, ["anon"], SMALL).points
    first = Counter(sample(1, seed, ["anon"], SMALL).points[0] for seed in range(4000))
    assert set(first) == set(whole)
    expected = 4000 / len(whole)
    chi = sum((first[point] - expected) ** 2 / expected for point in whole)
    assert chi < len(whole) + 4 * (2 * len(whole)) ** 0.5  # four standard deviations above the mean


def test_values_of_a_name() -> None:
    for point in sample(100, 3, EVERY).points:
        assert values_of_name(point.name) == point.values
    assert values_of_name("space/anon/mine+flip/pages=4") == point_named("space/anon/clock+munmap").values | {
        "user": "mine", "operation": "flip", "pages": "4",
    }  # fmt: skip
