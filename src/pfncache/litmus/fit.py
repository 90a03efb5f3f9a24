# SPDX-License-Identifier: GPL-2.0-only
"""Fits a litmus test to a kernel's C: the order of its steps, their barriers, locks and marks are those of the C.

A test whose accesses are not those of the C is out of date.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pfncache.litmus.event import MemoryEvent
from pfncache.litmus.protocol import LitmusTest
from pfncache.litmus.slice import Slice
from pfncache.litmus.source import KernelSource, NoSuchFunction
from pfncache.litmus.step import NotLitmus, Step, of_event, steps_of
from pfncache.litmus.walk import events


@dataclass(frozen=True)
class Fitted:
    """A test as a kernel has it."""

    test: LitmusTest
    threads: tuple[tuple[Step, ...], ...] = ()
    differences: tuple[str, ...] = ()
    """How the C differs from the test."""
    out_of_date: tuple[str, ...] = ()
    """Why nothing can be asked; then there are no threads."""


def fit(test: LitmusTest, source: KernelSource) -> Fitted:
    """Return a test with the order of the C."""
    threads: list[tuple[Step, ...]] = []
    differences: list[str] = []
    stale: list[str] = []
    for thread in test.threads:
        steps: list[Step] = []
        for part in thread.parts:
            written = steps_of(part.body, is_environment=not isinstance(part, Slice))
            if not isinstance(part, Slice):
                steps += written
                continue
            try:
                found = events(source, part)
                steps += _fitted(part, written, found)
            except (NoSuchFunction, NotLitmus) as error:
                stale.append(f"{part.function}: {error}")
                continue
            differences += differences_between(str(part.function), [step.event for step in written], found)
        stale += [f"{thread.what}: {register} is read before it is set" for register in _unset(steps)]
        threads.append(tuple(steps))
    if stale:
        return Fitted(test, differences=tuple(differences), out_of_date=tuple(stale))
    return Fitted(test, tuple(threads), tuple(differences))


def _fitted(part: Slice, written: Sequence[Step], found: Sequence[MemoryEvent]) -> list[Step]:
    """Return the steps in the order of the C. Raises NotLitmus if it has other accesses."""
    counts = Counter(event.key for event in found if event.is_access)
    expected = Counter(step.event.key for step in written if step.event.is_access)
    for (kind, name), count in ((counts - expected) + (expected - counts)).items():
        more = "more" if counts[kind, name] > expected[kind, name] else "fewer"
        raise NotLitmus(f"the C has {count} {kind}{'s' * (count != 1)} of {name} {more} than the test")
    left: dict[object, list[Step]] = defaultdict(list)
    for step in written:
        left[step.event.key].append(step)
    return [left[event.key].pop(0).at(event) if event.is_access else of_event(event) for event in found]


def differences_between(name: str, before: Sequence[MemoryEvent], after: Sequence[MemoryEvent]) -> list[str]:
    """Return a line for each event that `after` has at another place, differently, or that only one of both has."""
    lines = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            lines += [f"{name}: - {event}" for event in before[a:b]]
            lines += [f"{name}: + {event} at {event.place}" for event in after[c:d]]
    return lines


def _unset(steps: Sequence[Step]) -> list[str]:
    """Return the registers that are read before they are written."""
    written: set[str] = set()
    registers = {step.writes for step in steps if step.writes}
    missing = []
    for step in steps:
        missing += sorted((step.reads & registers) - written)
        written.add(step.writes)
    return list(dict.fromkeys(missing))
