# SPDX-License-Identifier: GPL-2.0-only
"""A regression between two files of results is seen, and noise is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.compare import main

FIGURES = {"search": (2.0, True), "start": (1.0, False), "memory": (50.0, False)}


def results(path: Path, values: dict[str, float], machine: str = "one") -> str:
    figures = {
        name: {"value": values.get(name, value), "unit": "u", "more_is_better": more}
        for name, (value, more) in FIGURES.items()
        if values.get(name) != 0
    }
    path.write_text(json.dumps({"machine": machine, "commit": path.stem, "date": "", "figures": figures}))
    return str(path)


@pytest.mark.parametrize(
    ("changed", "line", "status"),
    [
        ({}, "search: 2 -> 2 u: as before", 0),
        ({"search": 1.8}, "search: 2 -> 1.8 u: as before", 0),
        ({"search": 1.5}, "search: 2 -> 1.5 u: worse", 1),
        ({"search": 2.5}, "search: 2 -> 2.5 u: better", 0),
        ({"start": 1.2}, "start: 1 -> 1.2 u: worse", 1),
        ({"start": 0.8}, "start: 1 -> 0.8 u: better", 0),
        ({"memory": 0}, "memory: missing", 1),
    ],
)
def test_a_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, float], line: str, status: int
) -> None:
    before, after = results(tmp_path / "a.json", {}), results(tmp_path / "b.json", changed)
    assert main([before, after]) == status
    out = capsys.readouterr().out.splitlines()
    assert line in out
    assert out[-1] == f"a -> b: {status} worse"


def test_other_machines_and_new_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = results(tmp_path / "a.json", {"memory": 0}), results(tmp_path / "b.json", {}, machine="two")
    assert main([before, after]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "other machines: one; two", "search: 2 -> 2 u: as before", "start: 1 -> 1 u: as before", "memory: 50 u: new",
        "a -> b: 0 worse",
    ]  # fmt: skip


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a.json"]) == 2
    assert capsys.readouterr().err.startswith("``python -m benchmarks.compare BEFORE.json AFTER.json``")
