# SPDX-License-Identifier: GPL-2.0-only
"""An interleaving that violates a property, as rows, and as columns that can be pasted into a commit message."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

from pfncache.lang.syntax import shown_name

PACKAGE = Path(__file__).parents[1]
KERNEL = PACKAGE / "linux"
LOOP_MARK = " loop: the steps below repeat "
"""The line above the loop of a livelock."""
WIDTH = 75
"""Columns of a trace of one or two CPUs: what a commit message has room for."""
CPU_WIDTH = 37
"""Columns for a CPU where there are more: kernel names are not broken."""
MIN_COLUMN = 20
"""Least columns for a CPU."""


@dataclass(frozen=True, kw_only=True)
class TraceRow:
    """One step of a trace."""

    cpu: int
    actor: str
    function: str
    source: str
    """file:line, the file as in the kernel tree."""
    text: str
    """The line of the model."""
    changes: tuple[str, ...]
    """What the step changed, or the value that it read."""

    def as_json(self) -> dict[str, object]:
        """Return the row as the JSON schema has it."""
        return asdict(self) | {"changes": list(self.changes)}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An interleaving: the actor that passes each preemption point, and the outcome of its nondeterministic choice."""

    steps: tuple[tuple[int, int], ...]
    """Actor and outcome. They are those of a program without reductions, in which a step has one preemption point."""
    start: int | None = None
    """Of an actor that violates a property before its first preemption point: its number."""
    loop: int | None = None
    """Of a livelock: the index of the step with which its loop begins."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The steps of an interleaving, and why its end is a violation. ``str()`` is the text in columns."""

    actors: tuple[str, ...]
    rows: tuple[TraceRow, ...]
    reason: str
    loop: int | None = None
    """Of a livelock: the index of the row from which on the rows repeat."""
    schedule: Schedule | None = None
    """The interleaving, for a replay."""

    def __str__(self) -> str:
        return render(self)


def kernel_path(file: str) -> str:
    """Return the path of a model or C file in the kernel tree, of another file in the package, or else the name."""
    shown = shown_name(file)
    if shown is not None:
        return shown
    path = Path(file)
    for folder in (KERNEL, PACKAGE):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.name


def render(trace: Trace, width: int | None = None) -> str:
    """Return the trace as text of at most `width` columns: a column for each CPU, in the order of time.

    Without a width it is WIDTH for up to two CPUs, and CPU_WIDTH for each of more. Each CPU has at least MIN_COLUMN
    columns, so that the text of many is wider than a width that is given.
    """
    if width is None:
        width = max(WIDTH, CPU_WIDTH * len(trace.actors))
    column = max(width // max(len(trace.actors), 1), MIN_COLUMN)
    lines = ["".join(f"CPU{i}: {name}"[: column - 2].ljust(column) for i, name in enumerate(trace.actors))]
    lines.append("".join(("=" * (column - 2)).ljust(column) for _ in trace.actors))
    last: tuple[int, str] | None = None
    for number, row in enumerate(trace.rows):
        if number == trace.loop:
            lines.append(LOOP_MARK.center(column * len(trace.actors), "-"))
            last = None
        margin = " " * (column * row.cpu)
        lines.extend(margin + part for part in _row_lines(row, last != (row.cpu, row.function), column - 2))
        last = (row.cpu, row.function)
    lines.append("")
    lines.extend(textwrap.wrap(f"=> {trace.reason}", max(width, column), subsequent_indent="   "))
    return "\n".join(line.rstrip() for line in lines)


def _row_lines(row: TraceRow, enters: bool, width: int) -> list[str]:
    """Return the lines of one step; if it `enters` a function, the first one has the function's name."""
    head = f"{row.function}()"
    whole = f"{head}  {row.source}"
    if enters and len(whole) <= width:
        lines = [whole]
    else:
        lines = _wrapped(head, width, "") if enters else []
        lines += _wrapped(_shortened(row.source, width - 2), width, "  ")
    lines += _wrapped(row.text, width, "  ") or [""]
    for change in row.changes:
        lines += _wrapped(f"[{change}]", width, "    ")
    return lines


def _shortened(source: str, width: int) -> str:
    """Return file:line without the first folders if it is too long."""
    parts = source.split("/")
    while len(source) > width and len(parts) > 1:
        parts = parts[1:]
        source = "/".join(["...", *parts])
    return source


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """Return the lines of a text; a word that is too long is broken."""
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
