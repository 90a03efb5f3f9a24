# SPDX-License-Identifier: GPL-2.0-only
"""The results of a sweep, in one SQLite file, which is checked before anything is read from it or written to it."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from pfncache.check.verdict import Verdict
from pfncache.scenarios.space.sampling import Sample
from pfncache.sweep.job import Limits, SweepRow
from pfncache.sweep.sources import sources

APPLICATION_ID = 0x70666E63
"""Marks the files of a sweep for SQLite and file(1): "pfnc"."""
SCHEMA = 4
"""Version of the tables. The first had neither limits nor the version of the sources, the second one property a row,
the third no samples."""
MAGIC = b"SQLite format 3\0"
"""The first bytes of an SQLite file."""
OPEN_SECONDS = 1.0
"""How long another process may keep the file locked when it is opened."""
WRITE_SECONDS = 60.0
"""How long another process may keep the file locked when a result is stored."""

KINDS = {"int": "INTEGER NOT NULL", "float": "REAL NOT NULL", "str": "TEXT NOT NULL", "str | None": "TEXT"}
COLUMNS = ", ".join(f"{f.name} {KINDS[str(f.type)]}" for f in fields(SweepRow))
TABLES = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA};
CREATE TABLE results ({COLUMNS}, PRIMARY KEY (design, scenario, sources, max_seconds, max_megabytes, first)) STRICT;
CREATE TABLE samples (
    designs TEXT NOT NULL, points INTEGER NOT NULL, of_points INTEGER NOT NULL, seed INTEGER NOT NULL,
    sources TEXT NOT NULL, UNIQUE (designs, points, of_points, seed, sources)
) STRICT;
CREATE VIEW newest AS
    SELECT rowid AS number, * FROM results WHERE rowid IN (SELECT max(rowid) FROM results GROUP BY design, scenario);
COMMIT;
"""
"""A row for each job, version of the sources and limits; ``newest`` has the last that was stored of each job."""
MEANINGS = {
    "SQLITE_BUSY": "is locked by another process; try again when that has ended",
    "SQLITE_LOCKED": "is locked by another process; try again when that has ended",
    "SQLITE_READONLY": "is read-only",
    "SQLITE_FULL": "cannot be written: the disk is full",
    "SQLITE_CANTOPEN": "cannot be opened, or no journal can be written beside it",
    "SQLITE_IOERR": "cannot be read or written: I/O error",
    "SQLITE_PERM": "may not be opened",
    "SQLITE_CORRUPT": "is damaged: delete it, or take a copy of it",
    "SQLITE_NOTADB": "is damaged: delete it, or take a copy of it",
}
"""What the result codes of SQLite mean for a file."""


class StoreError(Exception):
    """A file of results cannot be used. One line: the file, what is wrong, what to do."""


class Store:
    """A file with one row for each job that is done with these sources and limits."""

    def __init__(self, path: Path) -> None:
        """Open a file to add results to, or make it. Raises StoreError, and then has changed nothing."""
        self.path = path
        self.copy: tempfile.TemporaryDirectory[str] | None = None
        new = False
        try:
            with self._errors():
                new = not path.exists()
                self._open("rwc" if new else "rw", is_new=_is_empty(path))
                self.connection.execute(f"PRAGMA busy_timeout = {WRITE_SECONDS * 1000:.0f}")
        except StoreError:
            if new and path.is_file():
                path.unlink()
            raise

    @classmethod
    def reading(cls, path: Path) -> Store:
        """Open a file without ever writing to it. Raises StoreError."""
        self = cls.__new__(cls)
        self.path, self.copy = path, None
        with self._errors():
            if _is_empty(path):
                raise StoreError(f"{path} is empty, not the results of a sweep")
            try:
                self._open("ro")
            except sqlite3.OperationalError as error:
                if not _journal(path).exists() or _name(error) in ("SQLITE_BUSY", "SQLITE_LOCKED"):
                    raise
                # a sweep was killed while it wrote; SQLite undoes that write, here in a copy
                self.copy = tempfile.TemporaryDirectory(prefix="pfncache-report-")
                self.connection.close()
                shutil.copy(path, self.copy.name)
                shutil.copy(_journal(path), self.copy.name)
                self._open("rw", place=Path(self.copy.name) / path.name)
        return self

    def verdicts(self, limits: Limits) -> dict[tuple[str, str], str]:
        """Return the verdict, by design and scenario, of each job of the present sources and these limits."""
        sql = (
            "SELECT design, scenario, verdict FROM results"
            " WHERE sources = ? AND max_seconds = ? AND max_megabytes = ? AND first = ?"
        )
        with self._errors():
            rows = self.connection.execute(sql, (sources(), limits.seconds, limits.megabytes, int(limits.first)))
            return {(design, scenario): verdict for design, scenario, verdict in rows}

    def done(self, limits: Limits) -> set[tuple[str, str]]:
        """Return design and scenario of each job that need not be done again; one that was lost is tried again."""
        return {key for key, verdict in self.verdicts(limits).items() if verdict != Verdict.LOST}

    def add(self, row: SweepRow) -> None:
        """Store a result; it is on disk when this returns. Raises StoreError."""
        marks = ", ".join("?" for _ in fields(SweepRow))
        with self._errors(), self.connection:
            self.connection.execute(f"INSERT OR REPLACE INTO results VALUES ({marks})", astuple(row))

    def add_sample(self, designs: str, found: Sample) -> None:
        """Store which points of the space are to be searched. Raises StoreError."""
        row = (designs, len(found.points), found.of_points, found.seed, sources())
        with self._errors(), self.connection:
            self.connection.execute("INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?)", row)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of an SQL query on ``results`` or ``newest``."""
        with self._errors():
            return self.connection.execute(sql).fetchall()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
        if self.copy is not None:
            self.copy.cleanup()

    def _open(self, mode: str, *, is_new: bool = False, place: Path | None = None) -> None:
        uri = f"{(place or self.path).absolute().as_uri()}?mode={mode}"
        self.connection = sqlite3.connect(uri, timeout=OPEN_SECONDS, uri=True)
        try:
            if is_new:
                self.connection.executescript(TABLES)
            self._check()
            if mode != "ro":
                self.connection.execute("BEGIN IMMEDIATE")  # succeeds on a file that may not be written
                self.connection.execute(f"PRAGMA user_version = {SCHEMA}")
                self.connection.rollback()
        except BaseException:
            self.connection.close()
            raise

    def _check(self) -> None:
        """Raise StoreError for a file that is not of a sweep, is of another version, or is damaged."""
        columns = [row[1] for row in self.connection.execute("PRAGMA table_info(results)")]
        if self._pragma("application_id") != APPLICATION_ID:
            if {"design", "scenario", "verdict"} <= set(columns):
                raise StoreError(
                    f"{self.path} is of an older pfncache: its rows lack limits and version; sweep into a new file"
                )
            raise StoreError(f"{self.path} is an SQLite file of another program, not the results of a sweep")
        schema = self._pragma("user_version")
        if schema != SCHEMA or columns != [f.name for f in fields(SweepRow)]:
            raise StoreError(f"{self.path} has tables of version {schema}, not {SCHEMA}; sweep into a new file")
        found = self._pragma("quick_check")
        if found != "ok":
            raise StoreError(f"{self.path} {MEANINGS['SQLITE_CORRUPT']} ({str(found).splitlines()[-1]})")
        self.connection.execute("SELECT count(*) FROM newest").fetchone()

    def _pragma(self, name: str) -> Any:
        return self.connection.execute(f"PRAGMA {name}").fetchone()[0]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of SQLite and of the system into StoreError."""
        try:
            yield
        except sqlite3.Error as error:
            name = _name(error)
            meaning = next(
                (text for code, text in MEANINGS.items() if name.startswith(code)), f"cannot be used: {error}"
            )
            raise StoreError(f"{self.path} {meaning}") from None
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}") from None


def _is_empty(path: Path) -> bool:
    """Return True if the file is not there, or empty. Raises StoreError if it is no SQLite file."""
    if not path.exists():
        if not path.parent.is_dir():
            raise StoreError(f"{path}: there is no folder {path.parent}")
        return True
    if not path.is_file():
        raise StoreError(f"{path} is not a file")
    with path.open("rb") as file:
        begin = file.read(len(MAGIC))
    if begin and begin != MAGIC:
        raise StoreError(f"{path} is not an SQLite file, so not the results of a sweep")
    return not begin


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "")
