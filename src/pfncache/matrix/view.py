# SPDX-License-Identifier: GPL-2.0-only
"""Show matrices of access paths and kinds of memory as tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, TextIO

import click
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pfncache.machines.document import Ended, run_members
from pfncache.matrix.cell import CellVerdict, Observation
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.table import SCHEMA, Cell, Mark, Matrix

COLOURS = {
    CellVerdict.WORKS: "green",
    CellVerdict.LOST: "yellow",
    CellVerdict.FAILS: "yellow",
    CellVerdict.ELSEWHERE: "red",
    CellVerdict.BREAKS: "bold red",
    CellVerdict.UNSEEN: "dim",
}
SIGNS = {Mark.CONFIRMED: "✓", Mark.OTHERWISE: "≈", Mark.DIFFERS: "≠", Mark.UNSEEN: ""}
EXITS = {"INTERNAL_ERROR": "internal", "MEMORY_FAULT": "memfault", "SHUTDOWN": "shutdown"}
WIDTH = 124
"""Minimum width of lines, which the table of a model requires."""
_UNBOUNDED = Console(width=1000)
LEGEND = (
    ("works", "KVM reaches the guest's memory"),
    ("split", "KVM reaches the page at the memslot's user address, which is not the guest's memory"),
    ("lost", "no effect, and no error"),
    ("#PF, MMIO ...", "no effect, and an exception in the guest, or an exit to user space"),
    ("!name", "a property is violated, by the beginning of its name"),
    ("-", "there is no such memory"),
    ("✓ ≈ ≠", "a kernel does the same; the same but for the exit or exception; something else"),
)


def show_all(
    matrices: Iterable[Matrix], as_json: bool, out: TextIO, options: dict[str, Any] | None = None
) -> list[Matrix]:
    """Print each matrix when it is there, then the legend; or one JSON document, however the run ends."""
    found: list[Matrix] = []
    ended = Ended()
    try:
        with ended.watching():
            for matrix in matrices:
                found.append(matrix)
                if not as_json:
                    show(matrix, out)
    finally:
        if as_json:
            document = {**run_members(SCHEMA, options or {}, ended), "matrices": [matrix.as_json() for matrix in found]}
            click.echo(json.dumps(document, indent=1), file=out)
    if not as_json:
        explain(found, out)
    return found


def show(matrix: Matrix, out: TextIO) -> None:
    """Print the table, the conclusions, and the comparison with a kernel."""
    lines: list[RenderableType] = [Text(f"=> {sentence}.", style="bold") for sentence in matrix.conclusion()]
    table = _table(matrix)
    _print([table, *lines, *_kernel(matrix)], out, table.__rich_measure__(_UNBOUNDED, _UNBOUNDED.options).maximum)


def explain(matrices: list[Matrix], out: TextIO) -> None:
    """Print the legend of rows, columns and cells."""
    if matrices:
        _print([_paths(matrices), _memory(matrices), _legend()], out)


def _print(parts: list[RenderableType], out: TextIO, width: int = 0) -> None:
    """Print at the full width of the table; without trailing spaces unless to a terminal."""
    console = Console(file=out, highlight=False)
    wide = Console(file=out, highlight=False, width=max(WIDTH, width, console.width if console.is_terminal else 0))
    with wide.capture() as captured:
        for part in parts:
            wide.print(part)
    text = captured.get()
    if not console.is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    click.echo(text, file=out, nl=False)


def _table(matrix: Matrix) -> Table:
    table = Table(title=matrix.design.title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column("path", no_wrap=True)
    for kind in KINDS.values():
        table.add_column("\n".join(kind.head), no_wrap=True)
    for path in PATHS:
        table.add_row(path, *(_cell(cell) for cell in matrix.row(path)))
    return table


def _cell(cell: Cell) -> RenderableType:
    text = Text(word(cell.seen), style=COLOURS[cell.seen.verdict])
    if cell.mark is Mark.DIFFERS and cell.real is not None:
        text.append(f"≠{word(cell.real)}", style="bold magenta")
    elif cell.mark is not None:
        text.append(SIGNS[cell.mark], style="bold")
    return text


def word(seen: Observation) -> str:
    """Return a verdict in one word."""
    if seen.verdict is CellVerdict.UNSEEN:
        return "-"
    if seen.verdict is CellVerdict.BREAKS:
        return f"!{seen.how.partition('-')[0]}"
    if seen.verdict is CellVerdict.ELSEWHERE:
        return "split"
    return EXITS.get(seen.how, seen.how) if seen.verdict is CellVerdict.FAILS else seen.verdict.value


def _paths(matrices: list[Matrix]) -> Table:
    table = _list("path", "kernel function, file: users; means by which it reaches memory")
    for path in PATHS.values():
        means = [", ".join(matrix.means(path.name)) or "nothing" for matrix in matrices]
        by = "; or ".join(dict.fromkeys(means))
        table.add_row(path.name, f"{path.functions}, {path.file}: {path.users}; by {by}")
    return table


def _memory(matrices: list[Matrix]) -> Table:
    table = _list("memory", "what backs the memslot / what is at its user address")
    cells = [cell for matrix in matrices for cell in matrix.cells.values()]
    for kind in KINDS.values():
        patched = any(cell.predicted.with_no_direct_map for cell in cells if cell.kind is kind)
        table.add_row(kind.name, kind.text + (" (the design with that patch on top)" if patched else ""))
    return table


def _legend() -> Table:
    table = _list("cell", "meaning")
    for name, text in LEGEND:
        table.add_row(name, text)
    return table


def _list(name: str, text: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(name, no_wrap=True)
    table.add_column(text)
    return table


def _kernel(matrix: Matrix) -> list[RenderableType]:
    """Return the comparison with a kernel, and why some cells cannot be probed on it."""
    if not matrix.kernel:
        return []
    cells = list(matrix.cells.values())
    counts = Counter(cell.mark for cell in cells if cell.mark is not None)
    total = ", ".join(f"{counts[mark]} {mark.value} {SIGNS[mark]}".rstrip() for mark in Mark if counts[mark])
    lines = [f"{matrix.kernel}: {total} of {len(cells)} cells"]
    for cell in cells:
        if cell.mark in (Mark.DIFFERS, Mark.OTHERWISE):
            lines.append(f"  {cell.path.name} on {cell.kind.name}: {cell.real}, and {cell.seen} on the model")
    reasons: dict[str, int] = Counter(
        cell.real.how for cell in cells if cell.real is not None and cell.real.verdict is CellVerdict.UNSEEN
    )
    lines += [f"  {count} cells: {reason}" for reason, count in reasons.items()]
    return [Text(line) for line in lines]
