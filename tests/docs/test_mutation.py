# SPDX-License-Identifier: GPL-2.0-only
"""The page of the mutants has the figures of their tables."""

from __future__ import annotations

from tests.mutation import page


def test_page_is_that_of_the_tables() -> None:
    assert page.PAGE.read_text() == page.page(), "python -m tests.mutation.page"


def test_every_mutant_that_is_looked_at_in_the_array_has_a_row() -> None:
    from tests.mutation.dimensions import read_points, sample

    assert set(read_points()) == set(sample())
