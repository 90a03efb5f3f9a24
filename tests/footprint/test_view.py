# SPDX-License-Identifier: GPL-2.0-only
"""Footprints as text, JSON and pictures."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from pfncache.footprint import view as report
from pfncache.footprint.picture import draw
from pfncache.machines.document import Ended
from tests.footprint.test_footprint import example


def _rows(table: Table) -> list[list[str]]:
    console = Console(width=200, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]


def test_heading() -> None:
    assert list(report.heading(example())) == [
        "linux on a machine",
        "  ended: HLT (4.0 s, KVM_RUN x7)",
        "  KVM touched 3 of 16 pages in 2 places, and wrote 1 of them; 5 are in use",
        "  of 1 page the path is not known",
        "  emulated: skip: cpuid (3), MMIO: mov (1)",
        "  1 of them only to skip an instruction without next_rip",
    ]


def test_heading_without_probes() -> None:
    blind = replace(example(), accesses=(), emulated={}, unprobed="no tracefs", written=None)
    assert list(report.heading(blind))[2:] == [
        "  KVM touched 3 of 16 pages in 2 places; 5 are in use",
        "  order and path are not known: no tracefs",
    ]


def test_what_was_not_watched_and_what_was_lost_is_said() -> None:
    lines = list(report.heading(replace(example(), blind=("hva_to_pfn: Invalid argument",), lost=1200)))
    assert "  not watched: hva_to_pfn: Invalid argument" in lines
    assert "  1,200 events were lost: the trace buffer is full" in lines


def test_where_a_guest_stands_that_has_not_panicked() -> None:
    stuck = replace(example(), console=("one", "two"))
    assert "  the console's last line: two" in list(report.heading(stuck))
    assert not any("last line" in line for line in report.heading(replace(stuck, ended="panicked: no root")))


def test_paths() -> None:
    assert _rows(report.paths(example())) == [
        ["skip: page walk", "2", "1", "6"],
        ["MMIO: page walk", "1", "0", "1"],
        ["path unknown", "1", "1", ""],
    ]


def test_pages() -> None:
    assert _rows(report.pages(example())) == [
        ["0x2000", "1", "page table", "read", "1", "0.250 s", "skip: page walk (3), MMIO: page walk (1)"],
        ["0x3000", "1", "", "read", "2", "0.500 s", "skip: page walk (3)"],
        ["0x9000", "1", "kernel image", "written", "", "", "path unknown"],
    ]


def test_many_pages_are_ranges() -> None:
    many = replace(
        example(), accesses=(), pages=256, touched=tuple(range(100, 200)), written=tuple(range(150, 160)), roles={}
    )
    assert _rows(report.pages(many)) == [
        ["0x64000", "50", "", "read"],
        ["0x96000", "10", "", "written"],
        ["0xa0000", "40", "", "read"],
    ]


def test_agreement() -> None:
    runs = [replace(example(), touched=touched) for touched in ((1, 2, 3), (2, 3), (3, 4))]
    assert list(report.agreement(runs)) == ["linux, 3 runs: 3, 2, 2 pages; 1 in every run, 4 in any"]


def test_document() -> None:
    document = report.document([example()], Ended())
    assert document["schema"] == 2
    (found,) = document["footprints"]
    assert (found["guest"], found["pages"], found["touched"], found["written"]) == ("linux", 16, 3, 1)
    assert found["paths"] == {"skip: page walk": 2, "MMIO: page walk": 1, "path unknown": 1}
    assert found["touched_pages"][1] == {
        "gpa": 0x3000, "role": None, "written": False,
        "accesses": [{"path": "skip: page walk", "write": False, "count": 3, "order": 2, "seconds": 0.5}],
    }  # fmt: skip


def test_the_picture_is_the_same_each_time_and_names_paths_and_pages(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(example(), tmp_path / "one.svg")
    draw(example(), tmp_path / "two.svg")
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    for words in ("MMIO: page walk: 1", "page table  0x2000", "the 3 of 16 pages that KVM touched"):
        assert words in text


def test_a_picture_of_many_pages_has_no_labels(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(replace(example(), pages=256, touched=tuple(range(2, 200))), tmp_path / "many.svg")
    assert "0x2000" not in (tmp_path / "many.svg").read_text()
