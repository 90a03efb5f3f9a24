# SPDX-License-Identifier: GPL-2.0-only
"""Records an interleaving: replays it through the model's source, one preemption point at a time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pfncache.check.compile.source import CompileError, Location
from pfncache.check.path import Choice
from pfncache.check.replay import Change, Ending, Moment, Replay
from pfncache.check.result import Found
from pfncache.check.search import Search
from pfncache.designs.design import Design
from pfncache.lang.records import Record
from pfncache.review.explorer.recording import (
    RecordedCall,
    RecordedChange,
    RecordedObject,
    RecordedStep,
    Recording,
)
from pfncache.review.explorer.relevance import relevant
from pfncache.review.explorer.values import GROUPS, OTHER_GROUP, group_of, is_mapped, struct_name, value_text
from pfncache.scenarios.scenario import Scenario
from pfncache.verify.program_cache import whole_program_of
from pfncache.verify.systems import make_system
from pfncache.verify.trace import Schedule, kernel_path
from pfncache.verify.trace_builder import place_of


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """A recording, and what its last step violates, if it does."""

    recording: Recording
    ending: Ending | None


def searchable(design: Design, scenario: Scenario | str) -> Search:
    """Return a search, not begun, of a scenario without reductions. Raises CompileError."""
    return Search(whole_program_of(make_system(design, scenario)))


def path_of(search: Search, schedule: Schedule) -> tuple[Choice, ...]:
    """Return the steps of a schedule from where the search stands first; its actors may have begun."""
    passed = [0 if events == sys.maxsize else events for events in search.start_events]
    path: list[Choice] = []
    for actor, outcome in schedule.steps:
        if passed[actor]:
            passed[actor] -= 1
        else:
            path.append(Choice(actor, outcome))
    return tuple(path)


def record(search: Search, schedule: Schedule, property_name: str = "") -> RecordedRun:
    """Replay an interleaving, and record it. Raises Divergence if the system has no such interleaving.

    `property_name` is that of what no single step violates. Of a run that violates nothing, every step matters.
    """
    objects = _Objects(search)
    start = next((one for one in search.start_found if one.start == schedule.start), None)
    failure = start.failure if start is not None and schedule.start is not None else None
    replay = Replay(search)
    try:
        replay.run(Found(property=property_name, path=path_of(search, schedule), start=schedule.start, failure=failure))
    finally:
        replay.finish()
    moments = [*replay.before, *replay.moments]
    mattering = frozenset(range(len(moments)))
    if property_name or replay.ending is not None:
        mattering = relevant(replay, moments, property_name, schedule.loop)
    steps, loop = _steps(moments, objects, mattering, schedule.loop)
    recording = Recording(
        actors=tuple(actor.name for actor in replay.actors),
        objects=objects.recorded,
        steps=steps,
        page_shift=search.program.compiled.system.kernel.PAGE_SHIFT,
        loop=loop,
    )
    return RecordedRun(recording=recording, ending=replay.ending)


def recording_of(
    design: Design, scenario: Scenario | str, schedule: Schedule | None, property_name: str
) -> Recording | None:
    """Return every step of a violation's interleaving; None where it is not known, or the system does not compile."""
    if schedule is None:
        return None
    try:
        return record(searchable(design, scenario), schedule, property_name).recording
    except CompileError:
        return None


class _Objects:
    """The records whose members the recording has: those that some actor writes, and those of the map of memory."""

    def __init__(self, search: Search) -> None:
        heap = search.program.compiled.heap
        varying: dict[int, set[str]] = {}
        for variable in search.program.slots:
            varying.setdefault(id(heap.holder(variable)), set()).add(variable.name)
        order = [*GROUPS, OTHER_GROUP]
        pools = (r for pool in heap.pools.values() for r in pool if id(r) in varying or is_mapped(r))
        records = sorted(pools, key=lambda r: order.index(group_of(r)))
        self.number = {id(record): number for number, record in enumerate(records)}
        self.recorded = tuple(
            RecordedObject(
                name=record.record_name,
                struct=struct_name(record),
                group=group_of(record),
                values={
                    name: value_text(record, name, vars(record)[name])
                    for name in type(record).fields
                    if is_mapped(record) or name in varying[id(record)]
                },
            )
            for record in records
        )

    def changes(self, changes: Sequence[Change]) -> tuple[RecordedChange, ...]:
        """Return changes of recorded members as text."""
        return tuple(
            RecordedChange(
                object=self.number[id(change.record)],
                member=change.name,
                old=value_text(change.record, change.name, change.old),
                new=value_text(change.record, change.name, change.new),
            )
            for change in changes
            if id(change.record) in self.number and change.name in self._members(change.record)
        )

    def _members(self, record: Record) -> frozenset[str]:
        return frozenset(self.recorded[self.number[id(record)]].values)


def _steps(
    moments: Sequence[Moment], objects: _Objects, mattering: frozenset[int], loop: int | None
) -> tuple[tuple[RecordedStep, ...], int | None]:
    """Return the steps, each of consecutive moments of one CPU at one line, and the step with which a loop begins."""
    writers: dict[tuple[int, str], set[int]] = {}
    for moment in moments:
        for change in moment.changes:
            writers.setdefault((id(change.record), change.name), set()).add(moment.actor)
    steps: list[RecordedStep] = []
    loop_step = None
    for number, moment in enumerate(moments):
        if number == loop:
            loop_step = len(steps)
        stack = tuple(map(_call, moment.stack))
        sees = moment.sees
        is_shared = sees is not None and writers.get((id(sees.record), sees.name), set()) - {moment.actor}
        reads = objects.changes([sees]) if sees is not None and is_shared and not moment.changes else ()
        step = RecordedStep(
            cpu=moment.actor,
            stack=stack,
            shown=moment.stack.index(place_of(moment.stack)),
            changes=objects.changes(moment.changes),
            reads=reads,
            taken=number + 1,
            matters=number in mattering,
        )
        last = steps[-1] if steps and len(steps) != loop_step else None
        if last is not None and _is_same_line(last, step):
            steps[-1] = replace(
                last,
                changes=last.changes + step.changes,
                reads=tuple(dict.fromkeys(last.reads + step.reads)),
                taken=step.taken,
                matters=last.matters or step.matters,
            )
        else:
            steps.append(step)
    return tuple(steps), loop_step


def _is_same_line(one: RecordedStep, other: RecordedStep) -> bool:
    return (one.cpu, one.call.file, one.call.line) == (other.cpu, other.call.file, other.call.line)


def _call(place: Location) -> RecordedCall:
    return RecordedCall(function=place.function, file=kernel_path(place.file), line=place.line, path=place.file)
