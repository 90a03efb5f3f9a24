# SPDX-License-Identifier: GPL-2.0-only
"""Shows what a series changes, and what of that was checked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pfncache.series.change import ItemKind, SourceChange, Status

COLOURS = {Status.CHECKED: "green", Status.REFUSED: "red"}
"""Colours of statuses; the others are yellow."""
SHOWN = 40
"""Most changes that the table has."""


def show_changes(console: Console, title: str, changes: Sequence[SourceChange]) -> None:
    """Print a table of changes with a title, and a line for each thing that no search has seen."""
    if not changes:
        return
    table = Table(title=title, title_justify="left")
    for name in ("what", "where", "how", "status"):
        table.add_column(name, no_wrap=name != "what")
    for change in changes[:SHOWN]:
        colour = COLOURS.get(change.status, "yellow")
        table.add_row(_name(change), change.place, change.how, f"[{colour}]{change.status}[/]")
    console.print(table)
    if len(changes) > SHOWN:
        console.print(f"and {len(changes) - SHOWN} more, which --json has")
    for change in changes:
        for line in notes(change):
            console.print(line, markup=False, soft_wrap=True)


def notes(change: SourceChange) -> list[str]:
    """Return the lines on what a search has not seen of a change."""
    found = []
    if change.status in (Status.BY_HAND, Status.NOT_COMPILED):
        found.append(f"not seen by this search: {change}")
    if change.barriers:
        what = f"{', '.join(change.barriers)} added, dropped or moved"
        found.append(f"not seen by this search: {change.place}: {change.name}(): {what}; each step is a full barrier")
    return found


def _name(change: SourceChange) -> str:
    parens = "()" if change.kind == ItemKind.FUNCTION else ""
    return f"{change.kind} {change.name}" if change.kind in (ItemKind.STRUCT, ItemKind.MACRO) else change.name + parens
