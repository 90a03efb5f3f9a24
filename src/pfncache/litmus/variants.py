# SPDX-License-Identifier: GPL-2.0-only
"""Variants of a litmus test: each without one barrier, one lock or one mark of the C."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pfncache.litmus.event import EventKind, MemoryEvent, Order
from pfncache.litmus.step import Step

Threads = tuple[tuple[Step, ...], ...]

_PAIRS = {EventKind.LOCK: EventKind.UNLOCK, EventKind.SRCU_LOCK: EventKind.SRCU_UNLOCK}
_RCU = {"rcu_read_lock": "rcu_read_unlock"}
_ENDS = {EventKind.UNLOCK, EventKind.SRCU_UNLOCK}


class Removal(StrEnum):
    """What a variant does."""

    DROPPED = "dropped"
    RELAXED = "relaxed"
    """An acquire or release becomes a marked access, a full update one without order."""
    UNMARKED = "unmarked"
    """A marked access becomes a plain one; of an access that is plain in the C, it stays so."""


@dataclass(frozen=True)
class Variant:
    """A test without something."""

    thread: int
    removal: Removal
    event: MemoryEvent
    """What is dropped, relaxed or unmarked, as the C has it."""
    place: int
    """Of the step in its thread."""
    threads: Threads
    """The steps that are left."""


def variants(threads: Threads, base: Threads) -> Iterator[Variant]:
    """Yield the variants of the steps that are C of the kernel: `threads` as the C has them, `base` as to be asked."""
    for number, steps in enumerate(threads):
        for place, step in enumerate(steps):
            if not (step.is_environment or _is_inside_a_call(step.event)):
                for removal, without in _without(base[number], place, step):
                    changed = tuple(without if n == number else steps for n, steps in enumerate(base))
                    yield Variant(number, removal, step.event, place, changed)


def _is_inside_a_call(event: MemoryEvent) -> bool:
    """Whether an event is the business of a function that is called: a marked access, or a lock around it."""
    return event.is_foreign and event.kind is not EventKind.FENCE and event.order is not Order.PLAIN


def _without(steps: Sequence[Step], place: int, original: Step) -> Iterator[tuple[Removal, tuple[Step, ...]]]:
    event = original.event
    if event.is_access:
        if event.kind is EventKind.UPDATE:
            if event.order is Order.FULL:
                yield Removal.RELAXED, _replaced(steps, place, steps[place].ordered(Order.RELAXED))
            return
        if event.order in (Order.ACQUIRE, Order.RELEASE):
            yield Removal.RELAXED, _replaced(steps, place, steps[place].ordered(Order.ONCE))
            return
        yield Removal.UNMARKED, _replaced(steps, place, steps[place].ordered(Order.PLAIN))
    elif event.kind not in _ENDS and event.name not in _RCU.values():
        gone = {place, _end(steps, place)}
        yield Removal.DROPPED, tuple(step for n, step in enumerate(steps) if n not in gone)


def _replaced(steps: Sequence[Step], place: int, by: Step) -> tuple[Step, ...]:
    return (*steps[:place], by, *steps[place + 1 :])


def _end(steps: Sequence[Step], place: int) -> int:
    """Return the place of the unlock that ends a section; the place itself of what is no section."""
    event = steps[place].event
    key = (_PAIRS[event.kind], event.name) if event.kind in _PAIRS else (EventKind.FENCE, _RCU.get(event.name, ""))
    return next((n for n in range(place + 1, len(steps)) if steps[n].event.key == key), place)


def can_race(threads: Threads, variant: Variant) -> bool:
    """Whether another thread may access the variable of a variant, and one of both accesses writes."""
    event = variant.event
    others = [
        step.event
        for number, steps in enumerate(threads)
        for step in steps
        if number != variant.thread and step.event.is_access and (step.event.name == event.name or step.through)
    ]
    return any(event.kind is not EventKind.READ or other.kind is not EventKind.READ for other in others)
