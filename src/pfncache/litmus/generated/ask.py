# SPDX-License-Identifier: GPL-2.0-only
"""Asks the memory model about the tests that were generated from a scenario."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from pfncache.litmus.event import EventKind, MemoryEvent, Order
from pfncache.litmus.generated.cycles import Conflicts, Cycle, cycles_of
from pfncache.litmus.generated.encode import CycleTest, encode
from pfncache.litmus.generated.marks import Marks
from pfncache.litmus.generated.recorded import RecordedOperation
from pfncache.litmus.generated.result import AccessPlace, CycleResult, GeneratedVerdict, RaceResult, ScenarioResult
from pfncache.litmus.generated.segment import Segment, SharedAccess
from pfncache.litmus.herd import HerdError
from pfncache.litmus.observe import MemoryModel
from pfncache.litmus.step import Step, marked

MAX_TESTS = 500
"""Different litmus tests of one scenario."""
_BARRIERS = {(True, True): "smp_wmb", (False, False): "smp_rmb"}
"""By whether the accesses before and after it write; for the others, it is smp_mb()."""


class _Known(NamedTuple):
    """What a scenario has been seen to do."""

    operations: Sequence[RecordedOperation]
    tests: Sequence[CycleTest]


class Asker:
    """A memory model and a kernel's C; herd7 runs once for equal tests of several scenarios."""

    def __init__(self, marks: Marks, model: MemoryModel, processes: int | None = None) -> None:
        self._marks = marks
        self._pool = ThreadPoolExecutor(processes or len(os.sched_getaffinity(0)))
        self._stopped = model.stopped
        self._reaches = cache(model.reaches)
        self._races = cache(model.races)

    def ask(self, scenario: str, operations: Sequence[RecordedOperation], conflicts: Conflicts) -> ScenarioResult:
        """Return what is said of a scenario. Raises HerdError if the run is interrupted."""
        started = time.monotonic()
        by_text: dict[str, list[CycleTest]] = {}
        left_out = 0
        for cycle in cycles_of(conflicts, self._marks.controls):
            encoded = encode(cycle, self._marks)
            if encoded.order_text in by_text or len(by_text) < MAX_TESTS:
                by_text.setdefault(encoded.order_text, []).append(encoded)
            else:
                left_out += 1
        known = _Known(operations, [test for some in by_text.values() for test in some])
        return ScenarioResult(
            scenario=scenario,
            operations=len(operations),
            cycles=tuple(self._pool.map(self._answered, by_text, by_text.values())),
            races=tuple(self._race_results(conflicts, known)),
            outside=tuple(conflicts.outside),
            left_out=left_out,
            cut=tuple(dict.fromkeys(str(one) for one in operations if not one.ended)),
            seconds=time.monotonic() - started,
        )

    def close(self) -> None:
        """End the threads that run herd7."""
        self._pool.shutdown(cancel_futures=True)

    # Order

    def _answered(self, text: str, tests: Sequence[CycleTest]) -> CycleResult:
        """Return what is said of cycles with one test; unknown if herd7 fails, unless the run was interrupted."""
        cycles = dict.fromkeys(tuple(self._places(s) for s in test.cycle.segments) for test in tests)
        found = CycleResult(verdict=GeneratedVerdict.ORDERED, cycles=tuple(cycles), text=text)
        try:
            return self._cycle(found, tests)
        except HerdError as error:
            if self._stopped.is_set():
                raise
            return replace(found, verdict=GeneratedVerdict.UNKNOWN, reason=str(error))

    def _cycle(self, found: CycleResult, tests: Sequence[CycleTest]) -> CycleResult:
        if not self._reaches(found.text):
            return found
        unseen = [test.unseen for test in tests]
        if all(unseen):
            reason = f"by hand in the model: {', '.join(unseen[0])}"
            return replace(found, verdict=GeneratedVerdict.UNKNOWN, reason=reason)
        test = next(test for test in tests if not test.unseen)
        if needed := self._needed(test):
            return replace(found, verdict=GeneratedVerdict.NEEDS_BARRIER, barriers=needed)
        reason = "full barriers between its accesses do not forbid the state, so the test is wrong"
        return replace(found, verdict=GeneratedVerdict.UNKNOWN, reason=reason)

    def _places(self, segment: Segment) -> tuple[AccessPlace, ...]:
        return tuple(self._place(access) for access in segment.accesses)

    def _place(self, access: SharedAccess) -> AccessPlace:
        event = access.event
        return AccessPlace(event.kind, event.name, self._marks.order(event), event.frame)

    def _needed(self, test: CycleTest) -> tuple[str, ...]:
        """Return the fewest barriers that order a cycle, weak ones if they do; nothing if none do."""
        base = tuple(marked(steps) for steps in test.threads)
        for strongest in (False, True):
            for count in range(1, len(test.gaps) + 1):
                for gaps in itertools.combinations(test.gaps, count):
                    segments = {number: test.cycle.segments[number] for number, _ in gaps}
                    names = {n: "smp_mb" if strongest else _barrier(segment) for n, segment in segments.items()}
                    threads = tuple(
                        _with(steps, dict(gaps)[n], names[n]) if n in names else steps for n, steps in enumerate(base)
                    )
                    if not self._reaches(test.text(threads)):
                        return tuple(_between(segments[n], name) for n, name in names.items())
        return ()

    # Data races

    def _race_results(self, conflicts: Conflicts, known: _Known) -> list[RaceResult]:
        found: dict[tuple[AccessPlace, AccessPlace], RaceResult] = {}
        for one, other in conflicts.races:
            places = (self._place(one), self._place(other))
            plain = [place for place in places if place.order in (Order.PLAIN, None)]
            if one.is_initial or other.is_initial or not plain or places in found:
                continue
            verdict, reason = GeneratedVerdict.DATA_RACE, ""
            if not any(place.order is Order.PLAIN for place in plain):
                verdict, reason = GeneratedVerdict.UNKNOWN, "the C does not say how an access is marked"
            else:
                verdict, reason = self._race(one, other, known)
            found[places] = RaceResult(verdict=verdict, places=places, reason=reason)
        return list(found.values())

    def _race(self, one: SharedAccess, other: SharedAccess, known: _Known) -> tuple[GeneratedVerdict, str]:
        try:
            is_ordered = self._is_ordered(one, other, known)
        except HerdError as error:
            if self._stopped.is_set():
                raise
            return GeneratedVerdict.UNKNOWN, str(error)
        return (GeneratedVerdict.ORDERED if is_ordered else GeneratedVerdict.DATA_RACE), ""

    def _is_ordered(self, one: SharedAccess, other: SharedAccess, known: _Known) -> bool:
        """Whether what orders a cycle orders two of its accesses, or else the locks around them alone."""
        keys = {one.key, other.key}
        for test in known.tests:
            if not any({before.key, after.key} == keys for before, after in test.cycle.edges):
                continue
            # The accesses that the last one of a segment depends on must have found news.
            sources = [before for before, after in test.cycle.edges if _last_after(test.cycle, after).key in keys]
            if all(_is_news(access, known.operations) for access in sources):
                both = zip(test.threads, test.cycle.segments, strict=True)
                threads = tuple(_with_marks(steps, segment, keys) for steps, segment in both)
                if not self._races(test.text(threads)):
                    return True
        return not self._races(encode(Cycle((Segment(one, one), Segment(other, other))), self._marks).race_text)


def _last_after(cycle: Cycle, first: SharedAccess) -> SharedAccess:
    return next(segment.last for segment in cycle.segments if segment.first is first)


def _is_news(access: SharedAccess, operations: Sequence[RecordedOperation]) -> bool:
    """Whether a read that finds what an access writes has found this write: nothing else writes it, and it is new."""
    event, before = access.event, access.operation.events[: access.at]
    if not event.writes:
        return True
    others = (e for operation in operations for e in operation.events if e.name == event.name and e.writes)
    return all(event.value not in (e.value, e.old) for e in before if e.name == event.name) and all(
        e.frame == event.frame for e in others if e.value == event.value
    )


def _barrier(segment: Segment) -> str:
    return _BARRIERS.get((segment.first.event.writes, segment.last.event.writes), "smp_mb")


def _between(segment: Segment, barrier: str) -> str:
    first, last = segment.first.event.frame, segment.last.event.frame
    if first.file == last.file and first.function == last.function:
        return f"{barrier}() in {first.function}() between {first.file}:{first.line} and {last.line}"
    return f"{barrier}() between {first} and {last}"


def _with(steps: tuple[Step, ...], place: int, barrier: str) -> tuple[Step, ...]:
    return (*steps[:place], Step(MemoryEvent(EventKind.FENCE, barrier)), *steps[place:])


def _with_marks(steps: tuple[Step, ...], segment: Segment, but: set[tuple[object, ...]]) -> tuple[Step, ...]:
    """Return a thread with its accesses marked, but some that stay as the C has them."""
    kept = iter(access.key in but for access in segment.accesses)
    return tuple(step if not step.event.is_access or next(kept) else marked([step])[0] for step in steps)
