# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of paths and kinds of memory, as a table."""

from __future__ import annotations

from collections import Counter

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pfncache.matrix.cell import Seen, Verdict
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.table import Cell, Mark, Matrix

COLOURS = {
    Verdict.WORKS: "green",
    Verdict.LOST: "yellow",
    Verdict.FAILS: "yellow",
    Verdict.ELSEWHERE: "red",
    Verdict.BREAKS: "bold red",
    Verdict.UNSEEN: "dim",
}
SIGNS = {Mark.CONFIRMED: "✓", Mark.OTHERWISE: "≈", Mark.DIFFERS: "≠", Mark.UNSEEN: ""}
EXITS = {"INTERNAL_ERROR": "internal", "MEMORY_FAULT": "memfault", "SHUTDOWN": "shutdown"}
WIDTH = 132
"""Of a pipe."""
LEGEND = (
    ("works", "KVM reaches the guest's memory"),
    ("split", "KVM reaches the page at the memslot's user address, which is not the guest's memory"),
    ("lost", "nothing happens, and nobody is told"),
    ("#PF, MMIO ...", "nothing happens, and the guest gets an exception, or user space an exit"),
    ("!name", "a property is violated, by its name"),
    ("-", "there is no such memory"),
)


def show(matrix: Matrix, console: Console) -> None:
    """The table, what its rows, columns and cells mean, what a kernel says to it, and what follows."""
    console.print(_table(matrix))
    for line in _explanations(matrix):
        console.print(line)
    for line in _kernel(matrix):
        console.print(line)
    for sentence in matrix.conclusion():
        console.print(Text(f"=> {sentence}.", style="bold"))


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


def word(seen: Seen) -> str:
    """A verdict in one word."""
    if seen.verdict is Verdict.UNSEEN:
        return "-"
    if seen.verdict is Verdict.BREAKS:
        return f"!{seen.how}"
    if seen.verdict is Verdict.ELSEWHERE:
        return "split"
    return EXITS.get(seen.how, seen.how) if seen.verdict is Verdict.FAILS else seen.verdict.value


def _explanations(matrix: Matrix) -> list[RenderableType]:
    paths = _list("path", "kernel function, file: who goes this way; by what it reaches memory, where it does")
    for path in PATHS.values():
        means = ", ".join(matrix.means(path.name)) or "nothing"
        paths.add_row(path.name, f"{path.functions}, {path.file}: {path.users}; by {means}")
    memory = _list("memory", "what backs the memslot / what is at its user address")
    for kind in KINDS.values():
        extra = any(cell.predicted.with_no_direct_map for cell in matrix.cells.values() if cell.kind is kind)
        memory.add_row(kind.name, kind.text + (" (with that patch on top of the design)" if extra else ""))
    legend = _list("cell", "what comes of it")
    for name, text in LEGEND:
        legend.add_row(name, text)
    return [paths, memory, legend]


def _list(name: str, text: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(name, no_wrap=True)
    table.add_column(text)
    return table


def _kernel(matrix: Matrix) -> list[RenderableType]:
    """What a kernel says, and why some cells cannot be shown on it."""
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
        cell.real.how for cell in cells if cell.real is not None and cell.real.verdict is Verdict.UNSEEN
    )
    lines += [f"  {count} cells: {reason}" for reason, count in reasons.items()]
    return [Text(line) for line in lines]
