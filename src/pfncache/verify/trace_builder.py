# SPDX-License-Identifier: GPL-2.0-only
"""Builds the trace of a replayed path: the steps that a reader needs."""

from __future__ import annotations

from dataclasses import replace

from pfncache.check.compile.source import Location
from pfncache.check.replay import Change, Ending, Moment, Replay
from pfncache.verify.trace import Schedule, Trace, TraceRow, kernel_path

PLUMBING = ("kernel/locking/", "kernel/rcu/", "include/", "mm/slub.py")
"""Files of which a trace shows no line: a step there is shown at the line that calls into them."""
LOCK_STATE = (
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
"""Members whose changes are left out: the line that takes the lock shows them."""


def place_of(stack: tuple[Location, ...]) -> Location:
    """Return the innermost line outside of PLUMBING."""
    for location in reversed(stack):
        if not kernel_path(location.file).startswith(PLUMBING):
            return location
    return stack[-1]


def _shown(changes: list[Change]) -> tuple[str, ...]:
    """Return the changes as text, without the state of locks."""
    return tuple(str(c) for c in changes if c.name not in LOCK_STATE)


def build(replay: Replay, reason: str) -> Trace:
    """Return the trace of a replayed path: the steps that change state, or read what another actor changes."""
    actors = tuple(actor.name for actor in replay.actors)
    writers: dict[tuple[int, str], set[int]] = {}
    for moment in replay.moments:
        for change in moment.changes:
            writers.setdefault((id(change.record), change.name), set()).add(moment.actor)
    rows: list[TraceRow] = []
    last = len(replay.moments) - 1
    loop: int | None = None
    for number, moment in enumerate(replay.moments):
        row = _row(moment, actors, writers)
        if number == replay.loop:
            loop = len(rows)
        previous = rows[-1] if rows and len(rows) != loop else None
        if previous is not None and (previous.cpu, previous.source) == (row.cpu, row.source):
            rows[-1] = replace(row, changes=previous.changes + row.changes)
        elif moment.first or row.changes or number == last:
            rows.append(row)
    return Trace(actors=actors, rows=tuple(rows), reason=reason, loop=loop, schedule=_schedule(replay))


def _schedule(replay: Replay) -> Schedule:
    """Return the interleaving of a replay, from the first preemption point of each actor on."""
    steps = tuple((moment.actor, moment.outcome) for moment in (*replay.before, *replay.moments))
    loop = len(replay.before) + replay.loop if replay.loop is not None else None
    return Schedule(steps=steps, start=replay.failed_start, loop=loop)


def _row(moment: Moment, actors: tuple[str, ...], writers: dict[tuple[int, str], set[int]]) -> TraceRow:
    """Return the row of one moment; `writers` has the actors that change each member."""
    place = place_of(moment.stack)
    shown = _shown(moment.changes)
    found = moment.sees
    if not moment.changes and found is not None and writers.get((id(found.record), found.name), set()) - {moment.actor}:
        shown = _shown([found])
    return TraceRow(
        cpu=moment.actor,
        actor=actors[moment.actor],
        function=place.function,
        source=f"{kernel_path(place.file)}:{place.line}",
        text=place.text,
        changes=shown,
    )


def reason_of(ending: Ending | None, detail: str) -> str:
    """Return why the end of a path is a violation."""
    return ending.detail if ending is not None else detail
