# SPDX-License-Identifier: GPL-2.0-only
"""Names of scenarios of the space."""

import pytest

from pfncache.scenarios.space.arrays import thorough
from pfncache.scenarios.space.names import point_named


def test_each_name_stands_for_its_point() -> None:
    assert all(point_named(scenario.name).name == scenario.name for scenario in thorough())


def test_a_default_may_be_named() -> None:
    point = point_named("space/anon/clock+munmap/pages=1,start=page-gone")
    assert point.name == "space/anon/clock+munmap/start=page-gone"
    assert (point["pages"], point["start"]) == ("1", "page-gone")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "space",
            "'space' names no scenario of the space; an example is space/anon/clock+munmap/memslots=adjacent,start=",
        ),
        ("space/anon/clock", "'space/anon/clock' names no scenario of the space"),
        ("space/tape/clock+munmap", "memory has no value 'tape'; it has anon, memfd, pfnmap,"),
        (
            "space/anon/clock+munmap/weather=fine",
            "the space has no dimension 'weather'; it has memory, user, operation,",
        ),
        (
            "space/anon/clock+munmap/start=late",
            "start has no value 'late'; it has valid, page-gone, never-used, turned-off",
        ),
        ("space/anon/clock+munmap/start", "'start' is no DIMENSION=VALUE of a dimension that is not named yet"),
        ("space/anon/clock+munmap/memory=gmem", "'memory=gmem' is no DIMENSION=VALUE of a dimension that"),
        (
            "space/anon/clock+punch",
            "no scenario has memory=anon, operation=punch: the operation does not exist on that memory",
        ),
        (
            "space/anon/clock+munmap/place=last-page",
            "no scenario has pages=1, place=last-page: the memslot has one page",
        ),
    ],
)
def test_what_is_no_name_gets_a_line_that_says_what_would_be_right(name: str, line: str) -> None:
    with pytest.raises(ValueError, match="^" + line.replace("+", r"\+").replace(".", r"\.")):
        point_named(name)
