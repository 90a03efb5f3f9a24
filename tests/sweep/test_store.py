# SPDX-License-Identifier: GPL-2.0-only
"""The file of a sweep: which rows count as done, which are shown, and what a kill or a full disk leaves."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pfncache.check.verdict import Verdict
from pfncache.sweep.job import Limits, SweepRow
from pfncache.sweep.sources import ROOMS, sources
from pfncache.sweep.store import Store, StoreError
from pfncache.sweep.view import provenance
from tests.conftest import Run

LIMITS = Limits(seconds=60.0, megabytes=1024)
ROW = SweepRow(
    design="d", scenario="s", operations="touch", verdict=Verdict.HOLDS, states=5, max_seconds=60.0, max_megabytes=1024
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = Store(path)
    yield made
    made.close()


def test_sources_are_a_digest_of_rooms_that_exist() -> None:
    import pfncache

    home = Path(pfncache.__file__).parent
    assert all(any((home / room).glob("*.py")) for room in ROOMS)
    assert len(sources()) == 12
    assert set(sources()) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("row", "limits", "done"),
    [
        (ROW, LIMITS, True),
        (ROW, Limits(seconds=61.0), False),
        (ROW, Limits(megabytes=2048), False),
        (replace(ROW, sources="other"), LIMITS, False),
        (replace(ROW, max_seconds=1.0), LIMITS, False),
        (replace(ROW, max_megabytes=1), LIMITS, False),
        (replace(ROW, verdict=Verdict.BOUNDED), LIMITS, True),
        (replace(ROW, verdict=Verdict.VIOLATED, property="warn-on"), LIMITS, True),
        (replace(ROW, verdict=Verdict.LOST), LIMITS, False),
    ],
)
def test_only_rows_of_the_same_sources_and_limits_are_done(
    store: Store, row: SweepRow, limits: Limits, done: bool
) -> None:
    store.add(row)
    assert store.done(limits) == ({("d", "s")} if done else set())


def test_a_row_that_was_lost_is_replaced(store: Store) -> None:
    store.add(replace(ROW, verdict=Verdict.LOST))
    store.add(ROW)
    assert store.query("SELECT verdict FROM results") == [("holds",)]


def test_the_newest_row_of_a_scenario_is_shown(store: Store) -> None:
    assert provenance(store) == ""
    store.add(replace(ROW, sources="old", states=1))
    store.add(replace(ROW, scenario="other", sources="old"))
    assert provenance(store) == ""
    store.add(replace(ROW, sources="new", states=2))
    assert store.query("SELECT scenario, states, sources FROM newest ORDER BY scenario") == [
        ("other", 5, "old"), ("s", 2, "new"),
    ]  # fmt: skip
    assert provenance(store) == (
        "rows of 2 versions of the sources, which may not be compared (new: 1, old: 1);"
        " 1 older row of the same scenarios not shown"
    )
    store.add(replace(ROW, scenario="other", sources="new", max_seconds=1.0))
    assert provenance(store) == (
        "rows of 2 limits (1 s and 1,024 MB: 1, 60 s and 1,024 MB: 1); 2 older rows of the same scenarios not shown"
    )


@pytest.mark.parametrize("verdict", [Verdict.LOST, Verdict.VACUOUS])
def test_a_report_counts_every_verdict(
    pfncache: Callable[..., Run], path: Path, store: Store, verdict: Verdict
) -> None:
    """There is a column for what is rare if there is a scenario in it."""
    store.add(ROW)
    store.add(replace(ROW, scenario="other", verdict=verdict, states=0))
    run = pfncache("report", str(path))
    assert run.code == 0, run.err
    titles, numbers = (line for line in run.out.splitlines() if line.startswith(("┃ design", "│ d ")))
    assert [cell.strip() for cell in titles.split("┃")[1:8]] == [
        "design", "actors", "hold", "break", "bounded", verdict, "states",
    ]  # fmt: skip
    assert [cell.strip() for cell in numbers.split("│")[1:8]] == ["d", "0", "1", "0", "0", "1", "5"]


def killed_while_writing(path: Path, tmp_path: Path) -> Path:
    """Return a file as a kill leaves it in the middle of a commit, with the journal that undoes it."""
    copy = tmp_path / "killed" / "s.sqlite"
    copy.parent.mkdir()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("BEGIN")
    for number in range(2000):
        connection.execute("INSERT INTO results SELECT * FROM results WHERE 0")
        connection.execute(
            "INSERT INTO results SELECT design, 'n' || ?, " + ", ".join(COLUMNS) + " FROM results WHERE scenario = 's'",
            (number,),
        )
    shutil.copy(path, copy)
    shutil.copy(f"{path}-journal", f"{copy}-journal")
    connection.close()
    return copy


COLUMNS = [name for name in ROW.__dict__ if name not in ("design", "scenario")]


def test_a_write_that_was_cut_short_is_undone(path: Path, store: Store, tmp_path: Path) -> None:
    """A report undoes it in a copy, a sweep in the file."""
    store.add(ROW)
    copy = killed_while_writing(path, tmp_path)
    before = copy.read_bytes(), Path(f"{copy}-journal").read_bytes()
    temporary = set(os.listdir("/tmp"))
    reading = Store.reading(copy)
    assert reading.query("SELECT scenario FROM results") == [("s",)]
    reading.close()
    assert (copy.read_bytes(), Path(f"{copy}-journal").read_bytes()) == before
    assert not {name for name in set(os.listdir("/tmp")) - temporary if name.startswith("pfncache-report-")}
    again = Store(copy)
    assert again.done(LIMITS) == {("d", "s")}
    again.close()
    assert not Path(f"{copy}-journal").exists()


def test_a_full_disk(store: Store, path: Path) -> None:
    """Results until then are kept."""
    store.add(ROW)
    ((pages,),) = store.query("PRAGMA page_count")
    store.query(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match=r"s\.sqlite cannot be written: the disk is full$"):
        for number in range(1000):
            store.add(replace(ROW, scenario=f"n{number}", reason="r" * 500))
    kept = Store.reading(path)
    assert kept.query("SELECT count(*) FROM results WHERE scenario = 's'") == [(1,)]
    kept.close()


def test_a_new_file_that_cannot_be_made_is_not_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sqlite3, "connect", fail)
    with pytest.raises(StoreError, match="No space left on device"):
        Store(path)
    assert not path.exists()
