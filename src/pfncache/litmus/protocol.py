# SPDX-License-Identifier: GPL-2.0-only
"""What a litmus test of ours is: threads that abstract the kernel's C, and a state in which they must not end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pfncache.litmus.slice import Slice


class LitmusVerdict(StrEnum):
    """What the memory model says of the C, from the best to the worst."""

    ORDERED = "ordered"
    """The state is never reached, and there is no data race."""
    DATA_RACE = "data race"
    """The state is never reached if the compiler makes each plain access a single one, which it need not."""
    BROKEN = "broken"
    """The state is reached, even if each access is marked."""
    OUT_OF_DATE = "out of date"
    """The C has other accesses than the test; nothing was asked."""
    UNKNOWN = "unknown"
    """herd7 has not answered, or was not asked."""


@dataclass(frozen=True)
class Environment:
    """What a thread does that is not of the C that a test is about: other parts of the kernel, or a guest."""

    what: str
    """Who does it."""
    body: str


@dataclass(frozen=True)
class Thread:
    """A thread: parts of functions, one after the other."""

    what: str
    """Its role, in a word or two."""
    parts: tuple[Slice | Environment, ...]

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Its parts that are C of the kernel."""
        return tuple(part for part in self.parts if isinstance(part, Slice))


@dataclass(frozen=True, kw_only=True)
class LitmusTest:
    """A litmus test."""

    name: str
    """As ``protocol/question``."""
    protects: str
    """What is kept by the order."""
    threads: tuple[Thread, ...]
    never: str
    """The state that must not be reached: registers as ``1:r0``, and variables in their last state."""
    expected: LitmusVerdict = LitmusVerdict.ORDERED
    """Of 7.3.4."""
    init: str = ""
    """Variables that do not begin as 0: ``x=1; y=2;``."""
    pointers: str = ""
    """Variables that have the address of another one."""
    abstraction: str = ""
    """What it leaves out, and why."""
