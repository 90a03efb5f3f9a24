# SPDX-License-Identifier: GPL-2.0-only
"""Kernels side by side: the selftests, one column a kernel."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from rich.table import Table

from pfncache.selftests.runner import Result

SCHEMA = 1
MARKS = {"ok": "ok", "xfail": "XFAIL", "skip": "-", "failed": "not ok"}


@dataclass
class Column:
    """What came of the tests on one kernel, or on a model."""

    release: str
    """uname -r; empty for a model."""
    design: str
    """What models it."""
    about: str
    results: list[Result] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The column as the JSON schema has it."""
        return {
            "release": self.release,
            "design": self.design,
            "about": self.about,
            "results": [
                {
                    "test": result.test.name,
                    "verdict": result.verdict,
                    "reason": result.line.reason,
                    "notes": result.line.notes,
                    "seconds": round(result.outcome.seconds, 3),
                }
                for result in self.results
            ],
        }


def document(columns: list[Column]) -> dict[str, Any]:
    """The JSON of a run."""
    return {"schema": SCHEMA, "kernels": [column.as_json() for column in columns]}


def _head(kernel: dict[str, Any]) -> str:
    release = kernel["release"].split("+")[0].removesuffix("-amd64")
    return release or f"model of {kernel['design']}"


def _rows(kernels: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """A row for each group whose tests all come out alike on each kernel, else one for each test."""
    verdicts = [{r["test"]: r["verdict"] for r in kernel["results"]} for kernel in kernels]
    rows: list[tuple[str, list[str]]] = []
    for group, members in groupby(verdicts[0], lambda name: name.split("/")[0]):
        tests = list(members)
        counts = [Counter(column[test] for test in tests) for column in verdicts]
        if all(len(count) == 1 for count in counts):
            rows.append((f"{group} ({len(tests)})", [MARKS[next(iter(count))] for count in counts]))
            continue
        rows.append((f"{group} ({len(tests)})", [_summary(count) for count in counts]))
        different = [test for test in tests if any(column[test] in ("xfail", "failed") for column in verdicts)]
        rows += [(f"  {test}", [MARKS[column[test]] for column in verdicts]) for test in different]
    return rows


def _summary(count: Counter[str]) -> str:
    return ", ".join(f"{count[verdict]} {mark}" for verdict, mark in MARKS.items() if count[verdict])


def table(columns: list[Column]) -> Table:
    """For a terminal."""
    kernels = [column.as_json() for column in columns]
    drawn = Table("", *map(_head, kernels))
    for name, cells in _rows(kernels):
        drawn.add_row(name, *cells)
    return drawn


def markdown(kernels: list[dict[str, Any]]) -> str:
    """For docs/: the table, and what each XFAIL is."""
    lines = [f"| | {' | '.join(map(_head, kernels))} |", f"|---|{'---|' * len(kernels)}"]
    lines.append(f"| modelled by | {' | '.join(kernel['design'] for kernel in kernels)} |")
    lines += [f"| {name.replace('  ', '&nbsp;&nbsp;')} | {' | '.join(cells)} |" for name, cells in _rows(kernels)]
    why: dict[tuple[str, str], list[str]] = {}
    for kernel in kernels:
        for result in kernel["results"]:
            if result["verdict"] == "xfail":
                tests = why.setdefault((result["reason"], "; ".join(result["notes"])), [])
                tests += [] if result["test"] in tests else [result["test"]]
    lines += ["", *(f"* XFAIL {', '.join(t)}: {reason} ({notes})." for (reason, notes), t in why.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(markdown(json.load(sys.stdin)["kernels"]) + "\n")
