# SPDX-License-Identifier: GPL-2.0-only
"""Parts of operations: one access of a cycle or two, with the locks and barriers around and between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pfncache.litmus.event import EventKind
from pfncache.litmus.generated.recorded import Recorded, RecordedOperation

_ENDS = {EventKind.UNLOCK: EventKind.LOCK, EventKind.SRCU_UNLOCK: EventKind.SRCU_LOCK}


@dataclass(frozen=True, eq=False)
class SharedAccess:
    """An access of an operation to a shared variable."""

    operation: RecordedOperation
    at: int
    """Index among the operation's events."""
    held: tuple[Recorded, ...]
    """The locks that are held, as they were taken."""
    is_initial: bool = False
    """It writes to an object that the operation has allocated and not published yet, or to an inactive set of memslots:
    others reach that through the address alone that is published then."""

    @property
    def event(self) -> Recorded:
        """What it does."""
        return self.operation.events[self.at]

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for accesses that a test cannot tell apart."""
        event = self.event
        locks = frozenset((lock.name, lock.is_exclusive) for lock in self.held)
        return event.kind, event.name, event.stack, event.value, event.old, locks

    def conflicts(self, other: SharedAccess) -> bool:
        """Whether both access one variable, and one of them writes."""
        mine, its = self.event, other.event
        return mine.name == its.name and (mine.writes or its.writes)

    def excludes(self, other: SharedAccess) -> bool:
        """Whether a lock is held over both, so that they never happen at the same time."""
        return any(
            mine.name == its.name and (mine.is_exclusive or its.is_exclusive)
            for mine in self.held
            for its in other.held
            if mine.kind is EventKind.LOCK and its.kind is EventKind.LOCK
        )


@dataclass(frozen=True, eq=False)
class Segment:
    """One access, or two of one operation to different variables."""

    first: SharedAccess
    last: SharedAccess

    @property
    def actor(self) -> str:
        """Whose operation it is of."""
        return self.first.operation.actor

    @property
    def is_single(self) -> bool:
        """Whether it is one access."""
        return self.first is self.last

    @property
    def between(self) -> tuple[Recorded, ...]:
        """What the operation does between the two."""
        return self.first.operation.events[self.first.at + 1 : self.last.at]

    @cached_property
    def is_address_dependent(self) -> bool:
        """Whether the address of the last access comes from what the first one has read."""
        events = self.first.operation.events
        if self.is_single or self.first.event.writes:
            return False
        known = {self.first.event.value: self.first.event.name}
        for event in events[self.first.at + 1 : self.last.at + 1]:
            owner = next((value for value in known if event.is_access and event.is_of(value)), None)
            if owner is None or not self._is_only_source(known[owner], owner):
                continue
            if event is self.last.event:
                return True
            if not event.writes and event.is_pointer:
                known.setdefault(event.value, event.name)
        return False

    def _is_only_source(self, name: str, value: str) -> bool:
        """Whether the operation has got an address from one variable alone before the last access."""
        before = self.first.operation.events[: self.last.at]
        return all(e.name == name for e in before if e.is_access and not e.writes and e.value == value)

    @property
    def accesses(self) -> tuple[SharedAccess, ...]:
        """The accesses, in program order."""
        return (self.first,) if self.is_single else (self.first, self.last)


def accesses_of(operation: RecordedOperation, shared: frozenset[str]) -> list[SharedAccess]:
    """Return the accesses of an operation to shared variables."""
    held: list[Recorded] = []
    found = []
    private: set[str] = set()
    for at, event in enumerate(operation.events):
        if event.kind in (EventKind.LOCK, EventKind.SRCU_LOCK):
            held.append(event)
        elif event.kind in _ENDS:
            taken = [n for n, e in enumerate(held) if (e.kind, e.name) == (_ENDS[event.kind], event.name)]
            if taken:
                del held[taken[-1]]
        elif event.is_access:
            if event.member == "slab_state" and event.writes:
                private.add(event.name.removesuffix(".slab_state"))
            elif event.writes:
                private.discard(event.value)
            if event.name in shared:
                is_initial = event.is_private or (event.writes and any(event.is_of(one) for one in private))
                found.append(SharedAccess(operation, at, tuple(held), is_initial))
    return found


def segments_of(accesses: Sequence[SharedAccess]) -> Iterator[Segment]:
    """Yield each access of an operation, and each pair to different variables; of equal pairs, the closest one."""
    singles = {access.key: access for access in reversed(accesses)}
    for access in singles.values():
        yield Segment(access, access)
    pairs: dict[object, Segment] = {}
    for n, first in enumerate(accesses):
        for last in accesses[n + 1 :]:
            if first.event.name != last.event.name:
                key = first.key, last.key
                if key not in pairs or last.at - first.at < pairs[key].last.at - pairs[key].first.at:
                    pairs[key] = Segment(first, last)
    yield from pairs.values()
