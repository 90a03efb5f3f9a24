# SPDX-License-Identifier: GPL-2.0-only
"""A recording of an interleaving: the state before it, and what each step changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RecordedObject:
    """A structure of the model, with the values of its members before the first step."""

    name: str
    struct: str
    """The name of its C structure, without "struct"."""
    group: str
    """The part of the state that it belongs to, see values.GROUPS."""
    values: Mapping[str, str]
    """By member, as a KVM developer would write them."""


@dataclass(frozen=True, kw_only=True)
class RecordedChange:
    """A member that a step has changed, or with equal values has read."""

    object: int
    """Index of the object in the recording."""
    member: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class RecordedCall:
    """A function on the call stack, and the line that it has come to."""

    function: str
    file: str
    """As in the kernel tree."""
    line: int
    path: str
    """Of the file on this host."""


@dataclass(frozen=True, kw_only=True)
class RecordedStep:
    """One step: consecutive accesses of one CPU at one line."""

    cpu: int
    stack: tuple[RecordedCall, ...]
    """Outermost first."""
    shown: int
    """Index in the stack of the call whose line stands for the step: the innermost that is not of a lock."""
    changes: tuple[RecordedChange, ...] = ()
    reads: tuple[RecordedChange, ...] = ()
    """What it has read of what another CPU changes."""
    taken: int = 0
    """Preemption points that were passed from the beginning of the run to the end of the step."""
    matters: bool = True
    """Whether the violation depends on it, as far as relevance.py can tell."""

    @property
    def call(self) -> RecordedCall:
        """The call whose line stands for the step."""
        return self.stack[self.shown]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The steps of an interleaving, and the state that they begin with."""

    actors: tuple[str, ...]
    objects: tuple[RecordedObject, ...]
    steps: tuple[RecordedStep, ...]
    page_shift: int
    """Bits of an address below those of the page's number."""
    loop: int | None = None
    """Of a livelock: the index of the step from which on the steps repeat."""
