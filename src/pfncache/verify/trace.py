# SPDX-License-Identifier: GPL-2.0-only
"""An interleaving that breaks a property, as rows, and as columns that can be pasted into a commit message."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

import pfncache.linux
from pfncache.check.compile.source import Location
from pfncache.check.replay import Change, Ending, Moment, Replay

KERNEL = Path(pfncache.linux.__file__).parent
PLUMBING = ("kernel/locking/", "kernel/rcu/", "include/", "mm/slub.py")
"""Where the reader's interest ends: a step is shown at the line that calls into these."""
NOISE = (
    "preempt_count",
    "irqs_disabled",
    "srcu_depth",
    "held",
    "readers",
    "readers0",
    "readers1",
    "writer",
    "changing",
)
"""Members whose changes are told by the line that takes the lock."""

FOR_EVER = " again and again, for ever "
"""Above the loop of a livelock."""


@dataclass(frozen=True)
class Row:
    """One step of a trace."""

    cpu: int
    actor: str
    function: str
    source: str
    """file:line, the file as in the kernel tree."""
    text: str
    """The line of the model."""
    changes: tuple[str, ...]
    """What it changed, or what it saw."""

    def as_json(self) -> dict[str, object]:
        """The row as the JSON schema has it."""
        return asdict(self) | {"changes": list(self.changes)}


@dataclass(frozen=True)
class Trace:
    """The rows of a path, and why its end is a violation."""

    actors: tuple[str, ...]
    rows: tuple[Row, ...]
    reason: str
    loop: int | None = None
    """Of a livelock: the row from which on the rows repeat for ever."""


def kernel_path(file: str) -> str:
    """A model file by its path in the kernel tree; any other file by its name."""
    path = Path(file)
    return path.relative_to(KERNEL).as_posix() if path.is_relative_to(KERNEL) else path.name


def _place(stack: tuple[Location, ...]) -> Location:
    for location in reversed(stack):
        if not kernel_path(location.file).startswith(PLUMBING):
            return location
    return stack[-1]


def _telling(changes: list[Change]) -> tuple[str, ...]:
    return tuple(str(c) for c in changes if c.name not in NOISE)


def build(replay: Replay, reason: str) -> Trace:
    """The trace of a replayed path: the steps that change something, or that find what another actor changes."""
    actors = tuple(actor.name for actor in replay.actors)
    writers: dict[tuple[int, str], set[int]] = {}
    for moment in replay.moments:
        for change in moment.changes:
            writers.setdefault((id(change.record), change.name), set()).add(moment.actor)
    rows: list[Row] = []
    last = len(replay.moments) - 1
    loop: int | None = None
    for number, moment in enumerate(replay.moments):
        row = _row(moment, actors, writers)
        if number == replay.loop:
            loop = len(rows)
        previous = rows[-1] if rows and len(rows) != loop else None
        if previous is not None and (previous.cpu, previous.source) == (row.cpu, row.source):
            rows[-1] = Row(row.cpu, row.actor, row.function, row.source, row.text, previous.changes + row.changes)
        elif moment.first or row.changes or number == last:
            rows.append(row)
    return Trace(actors, tuple(rows), reason, loop)


def _row(moment: Moment, actors: tuple[str, ...], writers: dict[tuple[int, str], set[int]]) -> Row:
    place = _place(moment.stack)
    told = _telling(moment.changes)
    found = moment.sees
    if not moment.changes and found is not None and writers.get((id(found.record), found.name), set()) - {moment.actor}:
        told = _telling([found])
    source = f"{kernel_path(place.file)}:{place.line}"
    return Row(moment.actor, actors[moment.actor], place.function, source, place.text, told)


def reason_of(ending: Ending | None, detail: str) -> str:
    """Why the end of a path is a violation, in words."""
    return ending.detail if ending is not None else detail


def render(trace: Trace, width: int = 44) -> str:
    """The trace as text: a column for each CPU, in the order of time."""
    lines = ["".join(f"CPU{i}: {name}"[: width - 2].ljust(width) for i, name in enumerate(trace.actors)).rstrip()]
    lines.append("".join(("=" * (width - 2)).ljust(width) for _ in trace.actors).rstrip())
    last: tuple[int, str] | None = None
    for number, row in enumerate(trace.rows):
        if number == trace.loop:
            lines.append(FOR_EVER.center(width * len(trace.actors), "-"))
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
