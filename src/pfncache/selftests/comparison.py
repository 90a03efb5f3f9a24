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

from pfncache.machines.document import Ended, run_members
from pfncache.selftests.runner import SelftestResult, SelftestVerdict

SCHEMA = 2
MARKS = {
    SelftestVerdict.OK.value: "ok",
    SelftestVerdict.XFAIL.value: "XFAIL",
    SelftestVerdict.XPASS.value: "XPASS",
    SelftestVerdict.SKIP.value: "-",
    SelftestVerdict.FAILED.value: "not ok",
}
"""Text of a cell, by the verdict in the JSON document."""
_LISTED = (SelftestVerdict.XFAIL.value, SelftestVerdict.XPASS.value, SelftestVerdict.FAILED.value)
"""Verdicts whose tests have a row of their own."""


@dataclass
class KernelResults:
    """Results of the tests on one kernel, or on a model."""

    release: str
    """uname -r; empty for a model."""
    design: str
    """Name of the design that models it."""
    about: str
    results: list[SelftestResult] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the column as the JSON schema defines it."""
        return {
            "release": self.release,
            "design": self.design,
            "about": self.about,
            "results": [
                {
                    "test": result.test.name,
                    "verdict": result.verdict.value,
                    "reason": result.line.reason,
                    "notes": result.line.notes,
                    "earlier": result.outcome.earlier or None,
                    "seconds": round(result.outcome.seconds, 3),
                }
                for result in self.results
            ],
        }


def document(columns: list[KernelResults], ended: Ended, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON document of a run."""
    return {**run_members(SCHEMA, options or {}, ended), "kernels": [column.as_json() for column in columns]}


def _head(kernel: dict[str, Any]) -> str:
    release = kernel["release"].split("+")[0].removesuffix("-amd64")
    return release or f"model of {kernel['design']}"


def _rows(kernels: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return a row for each group, and for each test that fails somewhere in a group with mixed verdicts.

    A column whose run has ended early has empty cells.
    """
    verdicts = [{r["test"]: r["verdict"] for r in kernel["results"]} for kernel in kernels]
    rows: list[tuple[str, list[str]]] = []
    for group, members in groupby(verdicts[0], lambda name: name.split("/")[0]):
        tests = list(members)
        counts = [Counter(column[test] for test in tests if test in column) for column in verdicts]
        if all(count and max(count.values()) == len(tests) for count in counts):
            rows.append((f"{group} ({len(tests)})", [MARKS[next(iter(count))] for count in counts]))
            continue
        rows.append((f"{group} ({len(tests)})", [_summary(count) for count in counts]))
        different = [test for test in tests if any(column.get(test) in _LISTED for column in verdicts)]
        rows += [(f"  {test}", [MARKS.get(column.get(test, ""), "") for column in verdicts]) for test in different]
    return rows


def _summary(count: Counter[str]) -> str:
    return ", ".join(f"{count[verdict]} {mark}" for verdict, mark in MARKS.items() if count[verdict])


def table(columns: list[KernelResults]) -> Table:
    """Return the table for a terminal."""
    kernels = [column.as_json() for column in columns]
    drawn = Table("", *map(_head, kernels))
    for name, cells in _rows(kernels):
        drawn.add_row(name, *cells)
    return drawn


def markdown(kernels: list[dict[str, Any]]) -> str:
    """Return the table for docs/, and the reason of each XFAIL."""
    lines = [f"| | {' | '.join(map(_head, kernels))} |", f"|---|{'---|' * len(kernels)}"]
    lines.append(f"| modelled by | {' | '.join(kernel['design'] for kernel in kernels)} |")
    lines += [f"| {name.replace('  ', '&nbsp;&nbsp;')} | {' | '.join(cells)} |" for name, cells in _rows(kernels)]
    why: dict[tuple[str, str], list[str]] = {}
    for kernel in kernels:
        for result in kernel["results"]:
            if result["verdict"] == SelftestVerdict.XFAIL.value:
                tests = why.setdefault((result["reason"], "; ".join(result["notes"])), [])
                tests += [] if result["test"] in tests else [result["test"]]
    lines += ["", *(f"* XFAIL {', '.join(t)}: {reason} ({notes})." for (reason, notes), t in why.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(markdown(json.load(sys.stdin)["kernels"]) + "\n")
