# SPDX-License-Identifier: GPL-2.0-only
"""What the memory model says of a test and of its variants. Imports nothing that searches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pfncache.litmus.event import MemoryEvent
from pfncache.litmus.protocol import LitmusTest, LitmusVerdict
from pfncache.litmus.variants import Removal


class Need(StrEnum):
    """What a barrier, a lock or a mark is for in a test, from the strongest to the weakest."""

    ORDER = "needed"
    """Without it, the state is reached."""
    RACE = "needed: data race"
    """Without it, there is a data race."""
    NONE = "not needed"
    """Without it, the test holds as well."""


@dataclass(frozen=True)
class RemovalResult:
    """What one barrier, lock or mark is for."""

    thread: str
    removal: Removal
    event: MemoryEvent
    need: Need

    @property
    def is_race(self) -> bool:
        """Whether it is a plain access of the C that has to be marked."""
        return self.removal is Removal.UNMARKED and self.need is not Need.NONE and self.event.order == "plain"

    def __str__(self) -> str:
        return f"{self.event} {self.removal} in {self.event.function}(), {self.event.place}: {self.need}"


@dataclass(frozen=True, kw_only=True)
class LitmusResult:
    """A test's result."""

    test: LitmusTest
    verdict: LitmusVerdict
    findings: tuple[RemovalResult, ...] = ()
    differences: tuple[str, ...] = ()
    """How the C differs from the test."""
    reasons: tuple[str, ...] = ()
    """Why it is out of date, or unknown."""
    text: str = ""
    """The test with the accesses of the C, for herd7."""
    events: tuple[tuple[MemoryEvent, ...], ...] = ()
    """Of each thread."""

    @property
    def is_expected(self) -> bool:
        """Whether the verdict is the expected one."""
        return self.verdict is self.test.expected

    @property
    def races(self) -> tuple[RemovalResult, ...]:
        """The plain accesses that have to be marked."""
        return tuple(finding for finding in self.findings if finding.is_race)

    @property
    def needed(self) -> tuple[RemovalResult, ...]:
        """What is in the C and needed."""
        return tuple(f for f in self.findings if f.need in (Need.ORDER, Need.RACE) and not f.is_race)
