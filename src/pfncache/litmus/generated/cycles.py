# SPDX-License-Identifier: GPL-2.0-only
"""Critical cycles of a scenario: program order within actors and conflicts between them.

If each of them is ordered, every execution of these operations is sequentially consistent (Shasha and Snir): then what
a search says of the scenario, in which each step is a full barrier, holds with the memory model, too.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pfncache.litmus.event import EventKind
from pfncache.litmus.generated.recorded import Recorded, RecordedOperation
from pfncache.litmus.generated.segment import Segment, SharedAccess, accesses_of, segments_of

Controls = Callable[[Recorded, Recorded], bool]


@dataclass(frozen=True, eq=False)
class Cycle:
    """A cycle: the last access of each segment conflicts with the first of the next, and comes before it."""

    segments: tuple[Segment, ...]

    @property
    def edges(self) -> tuple[tuple[SharedAccess, SharedAccess], ...]:
        """The conflicts, each with what comes first in the cycle."""
        following = (*self.segments[1:], self.segments[0])
        return tuple((one.last, other.first) for one, other in zip(self.segments, following, strict=True))


@dataclass(frozen=True, kw_only=True)
class Conflicts:
    """What the actors of a scenario share."""

    segments: dict[str, list[Segment]]
    """By actor."""
    races: list[tuple[SharedAccess, SharedAccess]]
    """Conflicting accesses of two actors that no lock keeps apart, without repetitions."""
    outside: list[str]
    """Shared variables that are left out: the C does not say how an access is marked, and no lock protects them all."""
    lockless: frozenset[str]
    """The variables of `races`."""


def conflicts_of(operations: Sequence[RecordedOperation], is_known: Callable[[Recorded], bool]) -> Conflicts:
    """Return what actors share without a lock."""
    locks = {e.name for o in operations for e in o.events if e.kind in (EventKind.LOCK, EventKind.SRCU_LOCK)}
    uses: dict[str, dict[str, list[Recorded]]] = defaultdict(lambda: defaultdict(list))
    for operation in operations:
        for event in operation.events:
            if event.is_access and event.name.rpartition(".")[0] not in locks and event.member != "slab_state":
                uses[event.name][operation.actor].append(event)
    shared = {
        name: [event for events in by_actor.values() for event in events]
        for name, by_actor in uses.items()
        if len(by_actor) > 1 and any(e.writes for events in by_actor.values() for e in events)
    }
    every = frozenset(shared)
    accesses = [access for operation in operations for access in accesses_of(operation, every)]
    marked = {name for name, events in shared.items() if any(is_known(event) for event in events)}
    inside = frozenset(marked | {name for name in shared if _is_locked([a for a in accesses if a.event.name == name])})
    by_operation = [accesses_of(operation, inside) for operation in operations]
    by_actor: dict[str, dict[object, SharedAccess]] = defaultdict(dict)
    segments: dict[str, list[Segment]] = defaultdict(list)
    for operation, accesses in zip(operations, by_operation, strict=True):
        by_actor[operation.actor].update((access.key, access) for access in accesses)
        segments[operation.actor] += segments_of(accesses)
    races = [
        (one, other)
        for first, second in itertools.combinations(by_actor, 2)
        for one in by_actor[first].values()
        for other in by_actor[second].values()
        if one.conflicts(other) and not one.excludes(other)
    ]
    return Conflicts(
        segments=segments,
        races=races,
        outside=sorted(shared.keys() - inside),
        lockless=frozenset(one.event.name for one, _ in races),
    )


def _is_locked(accesses: Sequence[SharedAccess]) -> bool:
    """Whether KVM's C accesses a variable under locks that keep all of its accesses apart: then no mark matters."""
    distinct = list({(access.operation.actor, access.key): access for access in accesses}.values())
    return all(access.event.frame.is_c for access in distinct) and all(
        one.excludes(other)
        for one, other in itertools.combinations(distinct, 2)
        if one.operation.actor != other.operation.actor and one.conflicts(other)
    )


def cycles_of(conflicts: Conflicts, controls: Controls) -> Iterator[Cycle]:
    """Yield the cycles through two and three actors that have a conflict without a lock and can happen."""
    actors = sorted(conflicts.segments)
    for count in (2, 3):
        for first, *others in itertools.permutations(actors, count):
            if first == min(first, *others):  # of rotations, one
                for cycle in _through(conflicts, (first, *others)):
                    if _is_critical(cycle) and _is_feasible(cycle, controls):
                        yield cycle


def _through(conflicts: Conflicts, actors: Sequence[str]) -> Iterator[Cycle]:
    starts: list[dict[str, list[Segment]]] = []
    for actor in actors:
        by_first: dict[str, list[Segment]] = defaultdict(list)
        for segment in conflicts.segments[actor]:
            by_first[segment.first.event.name].append(segment)
        starts.append(by_first)

    def extended(chain: tuple[Segment, ...]) -> Iterator[Cycle]:
        if len(chain) == len(actors):
            if chain[-1].last.conflicts(chain[0].first):
                yield Cycle(chain)
            return
        for segment in starts[len(chain)][chain[-1].last.event.name]:
            if chain[-1].last.conflicts(segment.first):
                yield from extended((*chain, segment))

    for segment in conflicts.segments[actors[0]]:
        yield from extended((segment,))


def _is_critical(cycle: Cycle) -> bool:
    """Whether it is a cycle of several variables, with a conflict that no lock orders, and no shorter one inside."""
    names = [access.event.name for access, _ in cycle.edges]
    pairs = sum(not segment.is_single for segment in cycle.segments)
    if min(pairs, len(set(names))) <= 1 or len(set(names)) != pairs:
        return False
    return any(not one.excludes(other) for one, other in cycle.edges)


def _is_feasible(cycle: Cycle, controls: Controls) -> bool:
    """Whether no segment has taken its path because a read found another value than that which it has to find.

    An object that its operation has not published yet is not reached but through the address that it publishes.
    """
    following = (*cycle.segments[1:], cycle.segments[0])
    for one, segment in zip(cycle.segments, following, strict=True):
        written, read = one.last.event, segment.first.event
        if segment.first.is_initial and not one.is_address_dependent:
            return False
        if read.writes or segment.is_single or not written.writes or written.old == written.value:
            continue
        if segment.is_address_dependent and read.value != written.value:
            return False
        if read.value == written.old and controls(read, segment.last.event):
            return False
    return True
