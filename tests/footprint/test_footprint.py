# SPDX-License-Identifier: GPL-2.0-only
"""Properties of a footprint, derived from its accesses."""

from __future__ import annotations

from pfncache.footprint.footprint import UNKNOWN, Access, Footprint, ranges


def example() -> Footprint:
    """Three touched pages, one of them without an event, and a page with an event that was not touched."""
    return Footprint(
        guest="linux", machine="a machine", pages=16, touched=(2, 3, 9), written=(9,), ended="HLT",
        accesses=(
            Access(2, "skip: page walk", False, 3, 1, 0.25),
            Access(3, "skip: page walk", False, 3, 2, 0.5),
            Access(2, "MMIO: page walk", False, 1, 4, 1.0),
            Access(12, "kvm-clock", True, 1, 5, 2.0),
        ),
        emulated={"skip: cpuid": 3, "MMIO: mov": 1}, roles={2: "page table", 9: "kernel image"}, populated=5, exits=7,
        seconds=4.0,
    )  # fmt: skip


def test_ranges() -> None:
    assert ranges(()) == []
    assert ranges((5, 1, 2, 3, 7)) == [(1, 3), (5, 5), (7, 7)]


def test_pages_that_no_probe_saw_and_pages_without_a_pte() -> None:
    assert example().unexplained == (9,)
    assert example().unmapped == (12,)


def test_paths() -> None:
    assert example().by_path() == {"skip: page walk": {2, 3}, "MMIO: page walk": {2}, UNKNOWN: {9}}
