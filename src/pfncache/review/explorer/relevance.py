# SPDX-License-Identifier: GPL-2.0-only
"""Dynamic backward slicing: which steps of an interleaving its violation depends on.

The slice begins with the last step: what it reads, the property's own look at the state included. A step is in it that

* wrote what a step of the slice reads (data dependence);
* read, before a step of the slice by the same actor, what another actor wrote before that step (control dependence
  between actors: a check, what it found, and what made it stale);
* takes or releases a lock around a step of the slice, if another actor with a step in the slice uses the lock.

Every such read counts, whether a branch depends on it or not, so that a slice may have steps that could be left out. It
is a help for readers: the verdict does not depend on it.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

import pfncache.properties
from pfncache.check.replay import FieldAccess, Moment, Replay
from pfncache.verify.outcome import OF_SEVERAL_PLACES
from pfncache.verify.trace_builder import LOCK_STATE

PROBES = str(Path(pfncache.properties.__file__).parent)
"""The folder of the properties: their look at the state is no part of a step, but of the last one."""

Place = tuple[int, str]
"""A scalar: identity of the record, and member."""


def relevant(replay: Replay, moments: Sequence[Moment], property_name: str, loop: int | None) -> frozenset[int]:
    """Return the numbers of the moments that matter for the violation at the end."""
    slicing = _Slice(moments, with_locks=property_name in OF_SEVERAL_PLACES)
    if loop is not None:
        return slicing.of(range(loop, len(moments)), ())
    if property_name in OF_SEVERAL_PLACES:
        last = {moment.actor: number for number, moment in enumerate(moments)}
        return slicing.of(last.values(), ())
    return slicing.of([len(moments) - 1] if moments else [], _places(replay.end_accesses))


def _places(accesses: Iterable[FieldAccess]) -> set[Place]:
    return {(id(a.record), a.name) for a in accesses if not a.is_write}


class _Slice:
    """The dependences between the moments of one run."""

    def __init__(self, moments: Sequence[Moment], with_locks: bool) -> None:
        self.moments = moments
        last = len(moments) - 1
        hidden = () if with_locks else LOCK_STATE
        self.reads = [
            {p for p in _places(_own(m.accesses, number == last)) if p[1] not in hidden}
            for number, m in enumerate(moments)
        ]
        self.writers: dict[Place, list[int]] = {}
        self.lock_users: dict[int, list[int]] = {}
        """By identity of a lock: the moments that change its state."""
        for number, moment in enumerate(moments):
            for place in dict.fromkeys((id(c.record), c.name) for c in moment.changes):
                if place[1] in LOCK_STATE:
                    self.lock_users.setdefault(place[0], []).append(number)
                if place[1] not in hidden:
                    self.writers.setdefault(place, []).append(number)

    def of(self, criterion: Iterable[int], places: Iterable[Place]) -> frozenset[int]:
        """Return the slice that begins with these moments, and with reads of these places after the last one."""
        kept: set[int] = set()
        work = [*criterion, *(w for place in places for w in self._before(place, len(self.moments)))]
        reached: dict[int, int] = {}
        """By actor: the number of its last moment in the slice so far."""
        while work:
            number = work.pop()
            if number in kept:
                continue
            kept.add(number)
            for place in self.reads[number]:
                work.extend(self._before(place, number))
            actor = self.moments[number].actor
            if number > reached.get(actor, -1):
                work.extend(self._conflicts(actor, number))
                reached[actor] = number
            if not work:
                work.extend(self._locks(kept) - kept)
        return frozenset(kept)

    def _before(self, place: Place, number: int) -> list[int]:
        """Return the last moment before `number` that wrote a place, if there is one."""
        writers = self.writers.get(place, [])
        at = bisect_left(writers, number)
        return writers[at - 1 : at] if at else []

    def _conflicts(self, actor: int, end: int) -> set[int]:
        """Return an actor's moments before `end` that read what others write, and those that wrote and overwrote it."""
        found: set[int] = set()
        for number, moment in enumerate(itertools.islice(self.moments, end)):
            if moment.actor != actor:
                continue
            for place in self.reads[number]:
                others = [w for w in self.writers.get(place, ()) if self.moments[w].actor != actor and w < end]
                if others:
                    found |= {number, *self._before(place, number), *[w for w in others if w > number][:1]}
        return found

    def _locks(self, kept: set[int]) -> set[int]:
        """Return the moments that take and release a lock around moments in `kept` of two actors or more."""
        found: set[int] = set()
        actors = {self.moments[number].actor for number in kept}
        for users in self.lock_users.values():
            mine: dict[int, list[int]] = {}
            for number in users:
                mine.setdefault(self.moments[number].actor, []).append(number)
            if len(mine.keys() & actors) > 1:
                for actor, uses in mine.items():
                    found |= self._sections(actor, uses, kept)
        return found

    def _sections(self, actor: int, uses: Sequence[int], kept: set[int]) -> set[int]:
        """Return those pairs of an actor's uses of a lock, taking and releasing it, that have moments in `kept`."""
        found: set[int] = set()
        for first, end in itertools.zip_longest(uses[::2], uses[1::2], fillvalue=len(self.moments)):
            inside = range(first + 1, end)
            if any(number in kept and self.moments[number].actor == actor for number in inside):
                found |= {number for number in (first, end) if number < len(self.moments)}
        return found


def _own(accesses: Sequence[FieldAccess], is_last: bool) -> Iterable[FieldAccess]:
    """Return the accesses of the code, and of the last moment also those of the properties."""
    return accesses if is_last else (a for a in accesses if not a.file.startswith(PROBES))
