# SPDX-License-Identifier: GPL-2.0-only
"""Every design on every scenario of the default catalogue: verdict, properties, states and transitions, exactly.

A change that is not meant to change the model, a design or a reduction leaves catalogue.json as it is. One that is
writes it anew, and its commit says why: ``python -m tests.designs.test_catalogue [SCENARIO ...]``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.runner import run_jobs

TABLE = Path(__file__).with_name("catalogue.json")
PARTS = 8
"""Tests that the table is divided into, by scenario: designs often share the search of one."""
MAX_STATES = 20_000_000

Row = list[str | int | list[str]]
"""Verdict, violated properties in the order of the alphabet, states, transitions."""


def searched(scenarios: Iterable[str], designs: Iterable[Design], processes: int) -> dict[str, dict[str, Row]]:
    """Search scenarios under each of the designs for which `pfncache verify --all` does."""
    designs = list(designs)
    work = [
        Job(design, name, MAX_STATES)
        for name in scenarios
        for design in designs
        if design.has(SCENARIOS[name].memory) and design.shown_by in ("", name)
    ]
    found: dict[str, dict[str, Row]] = {}
    for job, outcome in run_jobs(work, processes):
        row: Row = [str(outcome.verdict), sorted(outcome.properties), outcome.states, outcome.transitions]
        found.setdefault(job.design.name, {})[outcome.scenario] = row
    return found


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_catalogue(part: int) -> None:
    scenarios = list(DEFAULT_SCENARIOS)[part::PARTS]
    table: dict[str, dict[str, Row]] = json.loads(TABLE.read_text())
    expected = {
        design: {name: row for name, row in rows.items() if name in scenarios} for design, rows in table.items()
    }
    assert searched(scenarios, DESIGNS.values(), 1) == {design: rows for design, rows in expected.items() if rows}


def test_table_is_complete() -> None:
    """Each design is there, each scenario of the catalogue, and nothing else."""
    table = json.loads(TABLE.read_text())
    assert set(table) == set(DESIGNS)
    assert set(table["no-direct-map"]) | set(table["window"]) == set(DEFAULT_SCENARIOS)
    assert {name for name in table["window"] if name not in table["no-direct-map"]} == {
        name for name in DEFAULT_SCENARIOS if name.startswith("window/")
    }


def test_no_search_is_vacuous() -> None:
    """What a design or a scenario cannot reach, it says, with a reason."""
    table: dict[str, dict[str, Row]] = json.loads(TABLE.read_text())
    assert [(design, name) for design, rows in table.items() for name, row in rows.items() if row[0] == "vacuous"] == []


def write(names: list[str]) -> None:
    """Write the table anew, a line for each scenario, so that a change can be read.

    With names, only these scenarios are searched, and all of a design that the table does not have.
    """
    table: dict[str, dict[str, Row]] = json.loads(TABLE.read_text()) if names else {}
    fresh = [design for design in DESIGNS.values() if design.name not in table]
    found = searched(DEFAULT_SCENARIOS, fresh, 2)
    for design, rows in searched(names, DESIGNS.values(), 2).items():
        found[design] = {**table.get(design, {}), **rows, **found.get(design, {})}
    order = list(DEFAULT_SCENARIOS)
    designs = []
    for design in DESIGNS:
        rows = {**table.get(design, {}), **found.get(design, {})}
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(rows[name])}" for name in sorted(rows, key=order.index))
        designs.append(f" {json.dumps(design)}: {{\n{lines}\n }}")
    TABLE.write_text("{\n" + ",\n".join(designs) + "\n}\n")


if __name__ == "__main__":
    write(sys.argv[1:])
