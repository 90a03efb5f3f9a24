# SPDX-License-Identifier: GPL-2.0-only
"""The page of the mutants has the figures of their tables."""

from __future__ import annotations

from pfncache.scenarios.space.names import is_point
from tests.mutation import page
from tests.mutation.dimensions import read_points
from tests.mutation.hunt import read_table


def test_page_is_that_of_the_tables() -> None:
    assert page.PAGE.read_text() == page.page(), "python -m tests.mutation.page"


def test_every_mutant_that_the_array_alone_kills_has_a_row() -> None:
    alone = {name for name, (scenario, _) in read_table().items() if is_point(scenario)}
    assert alone <= set(read_points()) <= set(read_table())
