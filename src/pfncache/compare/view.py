# SPDX-License-Identifier: GPL-2.0-only
"""The comparison as tables, and as one JSON document."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from pfncache.compare.comparison import MEASURED, MEMORY, SCHEMA, ComparedDesign
from pfncache.compare.cost import KINDS, OPERATIONS
from pfncache.matrix.paths import PATHS

PIPE_WIDTH = 132
"""Columns of the tables where standard output is no terminal."""
COLOURS = {"holds": "green", "violated": "red"}


def show(columns: Sequence[ComparedDesign]) -> None:
    """Print the tables."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(_verdicts(columns))
    for column in columns:
        for scenario, violation in column.outcome.shortest():
            text = f"{column.design.name}: {violation.property} in {scenario}: {violation.reason}"
            console.print(text, markup=False, soft_wrap=True)
    console.print()
    console.print(_coverage(columns))
    for memory in MEASURED:
        console.print()
        console.print(_costs(columns, memory.value))
    console.print("\n".join(f"{kind}: {what}" for kind, what in KINDS.items()), style="dim")
    console.print("(+ ...): for each further cache of the page that is active", style="dim")
    console.print()
    console.print(_sizes(columns))


def _table(title: str, *headers: str) -> Table:
    table = Table(title=title, title_justify="left")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _verdicts(columns: Sequence[ComparedDesign]) -> Table:
    table = _table("What breaks, against mainline", "design", "verdict", "new", "cured", "left", "scenarios")
    for column in columns:
        outcome = column.outcome
        colour = COLOURS.get(outcome.verdict.value, "yellow")
        table.add_row(
            column.design.name,
            f"[{colour}]{outcome.verdict.value}[/]",
            ", ".join(f"{name} {count}" for name, count in outcome.broken.items()),
            _properties(Counter(v.property for c in column.cured for v in c.cured)),
            ", ".join(c.outcome.scenario for c in column.left),
            f"{len(outcome.outcomes):,}",
        )
    return table


def _properties(found: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.most_common())


def _coverage(columns: Sequence[ComparedDesign]) -> Table:
    table = _table(f"Which of {len(PATHS)} access paths reach which memory", "design", *MEMORY)
    for column in columns:
        table.add_row(column.design.name, *(str(len(column.reached(kind)) or "-") for kind in MEMORY))
    return table


def _costs(columns: Sequence[ComparedDesign], memory: str) -> Table:
    kinds = {"gmem-mmap": "with a direct map", "gmem-ndm": "without a direct map"}
    table = _table(f"Steps of an operation, on guest_memfd {kinds[memory]}", "design", *(o.name for o in OPERATIONS))
    for column in columns:
        keys = [(operation.name, memory) for operation in OPERATIONS]
        table.add_row(column.design.name, *(_cost(column.costs[key], column.growths[key]) for key in keys))
    return table


def _cost(steps: Counter[str] | None, more: Counter[str] | None) -> str:
    """Return the steps of an operation, and after a plus those that each further cache adds."""
    if steps is None:
        return "-"
    return (_steps(steps) or "0") + (f" (+ {_steps(more)})" if more else "")


def _steps(steps: Counter[str]) -> str:
    return ", ".join(f"{steps[kind]} {kind}" for kind in KINDS if steps[kind])


def _sizes(columns: Sequence[ComparedDesign]) -> Table:
    table = _table("What has to change", "design", "patches", "functions", "lines", "uAPI", "relies on")
    for column in columns:
        size = column.size
        table.add_row(
            column.design.name, str(size.patches), str(size.functions), str(size.lines),
            ", ".join(column.uapi) or "-", "; ".join(column.requires) or "-",
        )  # fmt: skip
    return table


def print_document(columns: Sequence[ComparedDesign], version: str) -> None:
    """Print one JSON document."""
    document = {"schema": SCHEMA, "version": version, "designs": [column.as_json() for column in columns]}
    click.echo(json.dumps(document, indent=1))
