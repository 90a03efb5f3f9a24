# SPDX-License-Identifier: GPL-2.0-only
"""The document of a report is as docs/reference/report.schema.json says, and has what the tables have."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from pfncache import __version__
from pfncache.check.verdict import Verdict
from pfncache.sweep.job import SweepRow
from pfncache.sweep.runner import drawn
from pfncache.sweep.store import Store
from tests.conftest import Call
from tools.console import ROOT

SCHEMA = json.loads((ROOT / "docs" / "reference" / "report.schema.json").read_text())


def row(name: str, verdict: str, kind: str | None = None, **bounds: Any) -> SweepRow:
    return SweepRow(
        design="mine", scenario=name, operations="x", verdict=verdict, property=kind, max_seconds=1.5, max_megabytes=9,
        **{"sources": "v1", **bounds},
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sweep of 40 points, of which those with two rounds leak, and of two scenarios that differ in their pages."""
    path = tmp_path / "results.sqlite"
    found, _ = drawn(("mainline-7.3",), 40, 2, ["anon"])
    with closing(Store(path)) as store:
        store.add_sample("mine", found)
        for point in found.points:
            leaks = point["rounds"] == "2"
            store.add(row(point.name, "violated" if leaks else "holds", "leak" if leaks else None, states=10))
        store.add(row("a", "holds", actors=2, pages=3, states=100, seconds=0.5))
        store.add(row("b", "holds", actors=2, pages=4, states=150, sources="v0"))
        store.add(row("b", "bounded", actors=2, pages=4, states=300))
    return path


def test_document(pfncache: Call, file: Path) -> None:
    document = pfncache("report", str(file), "--json").document
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(document)
    (sample,) = document["samples"]
    assert (document["version"], sample["points"], sample["seed"]) == (__version__, 40, 2)
    (fault,) = document["faults"]
    leaking = fault["points"]
    assert (fault["property"], fault["others"]) == ("leak", 40 - leaking)
    assert fault["exact"] == [{"dimension": "rounds", "values": ["2"], "others": 0}]
    assert document["verdicts"] == [
        {
            "design": "mine", "actors": 0, "scenarios": {"holds": 40 - leaking, "violated": leaking},
            "properties": {"leak": leaking}, "states": 400, "most": 10, "seconds": 0.0,
        },
        {
            "design": "mine", "actors": 2, "scenarios": {"holds": 1, "bounded": 1}, "properties": {}, "states": 400,
            "most": 300, "seconds": 0.5,
        },
    ]  # fmt: skip
    assert document["sources"] == [{"version": "v1", "rows": 42}]
    assert document["limits"] == [{"seconds": 1.5, "megabytes": 9, "rows": 42}]
    assert document["older_rows"] == 1


def test_schema_allows_nothing_else(pfncache: Call, file: Path) -> None:
    document = pfncache("report", str(file), "--json").document
    for wrong in ({**document, "more": 1}, {**document, "schema": 0}, {**document, "faults": [{}]}):
        with pytest.raises(ValidationError):
            Draft202012Validator(SCHEMA).validate(wrong)


def test_verdicts_are_those_of_the_code() -> None:
    names = SCHEMA["properties"]["verdicts"]["items"]["properties"]["scenarios"]["propertyNames"]["enum"]
    assert sorted(names) == sorted(verdict.value for verdict in Verdict)
