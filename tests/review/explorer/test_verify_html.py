# SPDX-License-Identifier: GPL-2.0-only
"""verify --html: the page of a run, of designs in Python and of a series' own C."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.commands.exit_status import ExitStatus
from tests.conftest import Call
from tests.csource.edits import Change, mail, substitute
from tests.csource.kvm.trees import source
from tests.review.explorer.test_page import data_of

FILE = "virt/kvm/pfncache.c"


def test_the_page_has_what_is_new_and_the_command_that_shows_it(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    done = pfncache("verify", "rfc-v4-on-7.3", "-s", "gmem/unmapped-punch", "--html", str(path))
    assert done.code == ExitStatus.VIOLATED and "use-after-free" in done.out
    text = path.read_text()
    assert "pfncache verify rfc-v4-on-7.3 -s gmem/unmapped-punch" in text and "new, not in no-direct-map" in text
    findings = data_of(text)["findings"]
    assert findings[0]["message"] == "pfn 0 is written through 0x8, but it is free"
    assert all(finding["recording"]["objects"] for finding in findings)


def test_what_stands_for_a_property_comes_first(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    words = ["list-outside-refresh-lock", "rfc-v4-on-7.3", "-s", "gpc/activate-twice", "-s", "gmem/unmapped-punch"]
    assert pfncache("verify", *words, "--html", str(path)).code == ExitStatus.VIOLATED
    titles = [
        finding["title"].replace(" under ", " in ").split(" in ") for finding in data_of(path.read_text())["findings"]
    ]
    first = [(design, name) for name, _, design in titles]
    count = len(set(first))
    assert len(set(first[:count])) == count < len(first)


def test_a_run_that_holds_has_a_page_without_findings(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    done = pfncache("verify", "mainline-7.3", "-s", "gpc/refresh-twice", "--html", str(path))
    assert done.code == ExitStatus.OK
    assert "<p>No findings</p>" in path.read_text()


def test_a_folder_that_is_not_there_is_one_line(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.html"
    done = pfncache("verify", "mainline-7.3", "-s", "gpc/refresh-twice", "--html", str(path))
    assert done.code == ExitStatus.USAGE
    assert done.err.splitlines()[-1] == f"Error: --html {path}: there is no folder {path.parent}"


@pytest.mark.slow
def test_what_is_minimised_has_its_own_recording(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    done = pfncache(
        "verify", "list-outside-refresh-lock", "-s", "gpc/activate-twice", "--minimise", "--html", str(path)
    )
    assert done.code == ExitStatus.VIOLATED, done.err
    findings = data_of(path.read_text())["findings"]
    assert findings and all(finding["recording"]["objects"] for finding in findings)


@pytest.mark.slow
def test_a_series_has_its_lines_in_c(pfncache: Call, tmp_path: Path) -> None:
    tree, path = source("7.3.4"), tmp_path / "a.html"
    edit = Change(FILE, "gfn_to_pfn_cache_invalidate_start", substitute(r"gpc->valid = false;", ";"))
    series = mail(tree, tmp_path, [edit])
    words = ["verify", "--series", str(series), "--tree", str(tree), "-s", "clock/anon/munmap", "--jobs", "1"]
    done = pfncache(*words, "--html", str(path))
    assert done.code == ExitStatus.VIOLATED, done.out + done.err
    text = path.read_text()
    assert f"pfncache verify --series {series} --tree {tree} -s clock/anon/munmap" in text
    data = data_of(text)
    recording = data["findings"][0]["recording"]
    calls = [recording["calls"][number] for step in recording["steps"] for number in step["stack"]]
    mine = {call["function"]: call for call in calls if call["file"] == FILE}
    assert "gfn_to_pfn_cache_invalidate_start" in mine
    for call in mine.values():
        line = "".join(data["sources"][FILE][str(call["line"])][1::2])
        assert call["text"] == line.strip() != ""
