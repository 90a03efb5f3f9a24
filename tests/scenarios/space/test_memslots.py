# SPDX-License-Identifier: GPL-2.0-only
"""The memslots of scenarios of the space."""

import pytest

from pfncache.scenarios.region import SlotLayout
from pfncache.scenarios.space.names import point_named


def layout_of(more: str, memory: str = "gmem-unmapped") -> SlotLayout:
    """Return the memslots of a scenario of the space."""
    operation = "punch" if memory.startswith("gmem") else "munmap"
    user = "runstate" if "two-pages" in more else "clock"
    return point_named(f"space/{memory}/{user}+{operation}" + (f"/{more}" if more else "")).layout


@pytest.mark.parametrize(
    ("more", "regions", "structure"),
    [
        ("", [(0, 0, 1, 1)], (0, 1)),
        ("pages=3,place=last-page", [(0, 0, 3, 1)], (2, 3)),
        ("pages=3,place=two-pages", [(0, 0, 3, 1)], (1, 2)),
        ("memslots=adjacent", [(0, 0, 1, 1), (1, 1, 1, 2)], (0, 1)),
        ("memslots=adjacent,position=second,pages=2", [(0, 0, 1, 1), (1, 1, 2, 2)], (1, 2)),
        ("memslots=same-address", [(0, 0, 1, 1), (1, 1, 1, 1)], (0, 1)),
        ("memslots=same-address,position=second,pages=2,place=last-page", [(0, 0, 1, 1), (1, 1, 2, 1)], (2, 2)),
        ("memslots=overlapping,pages=2,place=last-page", [(0, 0, 2, 1), (1, 2, 1, 2)], (1, 2)),
        ("memslots=hole,pages=2", [(0, 0, 2, 1), (1, 3, 1, 4)], (0, 1)),
    ],
)
def test_where_the_memslots_are(more: str, regions: list[tuple[int, ...]], structure: tuple[int, int]) -> None:
    found = layout_of(more)
    assert [(r.slot, r.base_gfn, r.npages, r.user_page) for r in found.regions] == regions
    assert (found.gfn, found.user_page) == structure


@pytest.mark.parametrize(
    ("more", "files"),
    [
        ("", [(0, 0)]),
        ("binding=offset", [(0, 1)]),
        ("memslots=adjacent,pages=2", [(0, 0), (0, 2)]),
        ("memslots=adjacent,pages=2,binding=offset", [(0, 1), (0, 3)]),
        ("memslots=adjacent,pages=2,binding=crossed", [(0, 1), (0, 0)]),
        ("memslots=adjacent,position=second,pages=2,binding=crossed", [(0, 2), (0, 0)]),
        ("memslots=adjacent,pages=2,binding=two-files", [(0, 0), (1, 0)]),
    ],
)
def test_what_the_memslots_are_bound_to(more: str, files: list[tuple[int, int]]) -> None:
    assert [(region.file, region.pgoff) for region in layout_of(more).regions] == files


def test_the_flags_are_those_of_the_memslot_with_the_structure() -> None:
    found = layout_of("memslots=adjacent,position=second,flags=logged", "anon")
    assert [region.log_dirty for region in found.regions] == [False, True]


def test_a_memfd_is_mapped_in_its_order() -> None:
    found = layout_of("memslots=overlapping,pages=2,binding=offset", "memfd")
    assert [(region.user_page, region.pgoff) for region in found.regions] == [(1, 1), (2, 2)]
