# SPDX-License-Identifier: GPL-2.0-only
"""An interleaving that violates a property, as rows, and as columns that can be pasted into a commit message."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
KERNEL = PACKAGE / "linux"
LOOP_MARK = " loop: the steps below repeat "
"""The line above the loop of a livelock."""


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
class Trace:
    """The steps of an interleaving, and why its end is a violation. ``str()`` is the text in columns."""

    actors: tuple[str, ...]
    rows: tuple[TraceRow, ...]
    reason: str
    loop: int | None = None
    """Of a livelock: the index of the row from which on the rows repeat."""

    def __str__(self) -> str:
        return render(self)


def kernel_path(file: str) -> str:
    """Return the path of a model file in the kernel tree, of another file in the package, or else the name."""
    path = Path(file)
    for folder in (KERNEL, PACKAGE):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.name


def render(trace: Trace, width: int = 44) -> str:
    """Return the trace as text: a column for each CPU, in the order of time."""
    lines = ["".join(f"CPU{i}: {name}"[: width - 2].ljust(width) for i, name in enumerate(trace.actors)).rstrip()]
    lines.append("".join(("=" * (width - 2)).ljust(width) for _ in trace.actors).rstrip())
    last: tuple[int, str] | None = None
    for number, row in enumerate(trace.rows):
        if number == trace.loop:
            lines.append(LOOP_MARK.center(width * len(trace.actors), "-"))
            last = None
        margin = " " * (width * row.cpu)
        head = f"{row.function}()"
        if last != (row.cpu, row.function):
            lines.append(
                f"{margin}{head}  {row.source}" if len(head) + len(row.source) + 2 < width else f"{margin}{head}"
            )
            if len(head) + len(row.source) + 2 >= width:
                lines.append(f"{margin}  {row.source}")
        else:
            lines.append(f"{margin}  {row.source}")
        last = (row.cpu, row.function)
        for part in textwrap.wrap(row.text, width - 4) or [""]:
            lines.append(f"{margin}  {part}")
        for change in row.changes:
            lines.extend(f"{margin}    {part}" for part in textwrap.wrap(f"[{change}]", width - 6))
    lines.append("")
    lines.extend(textwrap.wrap(f"=> {trace.reason}", 76, subsequent_indent="   "))
    return "\n".join(line.rstrip() for line in lines)
