# SPDX-License-Identifier: GPL-2.0-only
"""The results of a sweep, in one SQLite file."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from pfncache.sweep.job import SweepRow

KINDS = {"int": "INTEGER", "float": "REAL", "str": "TEXT", "str | None": "TEXT"}
COLUMNS = ", ".join(f"{f.name} {KINDS[str(f.type)]}" for f in fields(SweepRow))


class Store:
    """A file with one row for each job that is done. A job has one row, however often it was done."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path)
        self.connection.execute(f"CREATE TABLE IF NOT EXISTS results ({COLUMNS}, PRIMARY KEY (design, scenario))")
        self.connection.commit()

    def done(self) -> set[tuple[str, str]]:
        """Return design and scenario of each job that is done."""
        return set(self.connection.execute("SELECT design, scenario FROM results"))

    def add(self, row: SweepRow) -> None:
        """Store a result; it is on disk when this returns."""
        marks = ", ".join("?" for _ in fields(SweepRow))
        self.connection.execute(f"INSERT OR IGNORE INTO results VALUES ({marks})", astuple(row))
        self.connection.commit()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of an SQL query on ``results``."""
        return self.connection.execute(sql).fetchall()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
