# SPDX-License-Identifier: GPL-2.0-only
"""Which part of a C function a thread of a litmus test abstracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from pfncache.litmus.event import EventKind, MemoryEvent, Order

KINDS = {kind.value: kind for kind in EventKind if " " not in kind} | {"update": EventKind.UPDATE}


class Function(NamedTuple):
    """A function of a kernel's C."""

    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}()"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The accesses, barriers and locks of a function on one of its paths.

    A path takes each if statement whose body does not leave the function, and leaves out each one whose body does.
    """

    function: Function
    tracks: str
    """Shared places, each with the variable of the test: ``gpc->lock=cache_lock valid``. A place is a member, with what
    stands before it where that is needed; or the name of a pointer, of which accesses through it count."""
    body: str
    """The same in the memory model's C, a statement a line."""
    inline: Mapping[str, Function] = field(default_factory=dict)
    """Calls that are walked into, by the name that is called."""
    calls: Mapping[str, str] = field(default_factory=dict)
    """Calls that have events of their own, as ``write pte once, unlock ptl``; nothing for those that have none."""
    enter: tuple[str, ...] = ()
    """Conditions of if statements that are taken although their body leaves the function; loops and cases that are."""
    skip: tuple[str, ...] = ()
    """Conditions of if statements and loops that are not taken."""
    since: str = ""
    """Words of the first statement that counts."""
    until: str = ""
    """Words of the last one."""
    omit: tuple[str, ...] = ()
    """Words of statements whose events are left out."""
    unread: str = ""
    """Variables whose reads are left out, since nothing depends on them."""

    @property
    def functions(self) -> tuple[Function, ...]:
        """The functions that it is of."""
        return self.function, *self.inline.values()

    @cached_property
    def variables(self) -> dict[str, str]:
        """Variables by place, that with the longest place first."""
        pairs = [word.partition("=") for word in self.tracks.split()]
        found = {place: name or place.rpartition(">")[2].rpartition(".")[2] for place, _, name in pairs}
        return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The variables of `unread`."""
        return frozenset(self.unread.split())

    def events_of_call(self, name: str) -> tuple[MemoryEvent, ...]:
        """Return the events that a call has by `calls`. What is not a lock alone is in the function that is called."""
        found = tuple(event_of(words) for words in self.calls[name].split(",") if words.strip())
        is_lock = len(found) == 1 and not found[0].is_access
        return tuple(replace(event, is_foreign=not is_lock) for event in found)


def event_of(words: str) -> MemoryEvent:
    """Return an event from words such as ``write pte once``."""
    kind, name, *order = words.split()
    return MemoryEvent(KINDS[kind], name, Order(order[0]) if order else Order.NONE)
