# SPDX-License-Identifier: GPL-2.0-only
"""Covering arrays: proof by counting that each wanted combination occurs, and that no row breaks a rule."""

from itertools import combinations, product

import pytest

from pfncache.scenarios.space.covering import OPEN, Combination, Factors, Row

ODD_SUM = ((0, 2), lambda a, c: (a + c) % 2 == 1)
IMPLIES = ((1, 2, 3), lambda b, c, d: d == 0 or b == c)
FACTORS = Factors((3, 4, 2, 5), (ODD_SUM, IMPLIES))


def kept(row: Row) -> bool:
    """Return whether a whole row keeps the rules of FACTORS."""
    return all(allows(*(row[factor] for factor in factors)) for factors, allows in (ODD_SUM, IMPLIES))


def occurring(rows: list[Row], strength: int) -> set[Combination]:
    """Return every combination of so many factors that some row has."""
    return {
        (factors, tuple(row[factor] for factor in factors))
        for row in rows
        for factors in combinations(range(len(row)), strength)
    }


def test_rows_are_those_that_keep_the_rules() -> None:
    every = [row for row in product(range(3), range(4), range(2), range(5)) if kept(row)]
    assert list(FACTORS.rows()) == every
    assert len(every) == 24


@pytest.mark.parametrize("strength", [1, 2, 3, 4])
def test_combinations_are_those_that_some_whole_row_has(strength: int) -> None:
    assert set(FACTORS.combinations(strength)) == occurring(list(FACTORS.rows()), strength)


@pytest.mark.parametrize("strength", [1, 2, 3, 4])
def test_each_combination_is_covered_by_rows_that_keep_the_rules(strength: int) -> None:
    wanted = FACTORS.combinations(strength)
    rows = FACTORS.cover(wanted)
    assert all(kept(row) for row in rows)
    assert set(wanted) == occurring(rows, strength)
    assert len(set(rows)) == len(rows)


def test_an_array_of_pairs_is_small() -> None:
    assert len(Factors((4,) * 10).cover(Factors((4,) * 10).combinations(2))) == 33


def test_rows_that_exist_are_taken_into_account() -> None:
    first = FACTORS.cover(FACTORS.combinations(2))
    more = FACTORS.cover(FACTORS.combinations(3), first)
    assert not set(first) & set(more)
    assert set(FACTORS.combinations(3)) == occurring([*first, *more], 3)
    assert FACTORS.cover(FACTORS.combinations(2), first) == []


def test_combinations_of_some_factors_alone() -> None:
    found = FACTORS.combinations(2, (2, 0))
    assert found == [((0, 2), (0, 1)), ((0, 2), (1, 0)), ((0, 2), (2, 1))]


def test_a_row_with_open_factors_is_allowed_if_it_can_be_completed() -> None:
    assert FACTORS.allows([OPEN] * 4)
    assert FACTORS.allows([0, OPEN, OPEN, 4])
    assert not FACTORS.allows([0, 2, OPEN, 4])  # the third would have to be 1 and 2
