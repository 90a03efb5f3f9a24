# SPDX-License-Identifier: GPL-2.0-only
"""What the memory model says of a scenario's cycles and of the accesses that no lock keeps apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pfncache.litmus.event import EventKind, Order
from pfncache.litmus.generated.recorded import SourceFrame


class GeneratedVerdict(StrEnum):
    """What is said of a cycle, of two accesses, or of a scenario, from the best to the worst."""

    ORDERED = "ordered"
    """The state is never reached; of accesses, there is no data race."""
    UNKNOWN = "unknown"
    """The C does not say how an access is marked, a barrier is in a function by hand, or herd7 has not answered."""
    DATA_RACE = "data race"
    NEEDS_BARRIER = "needs barrier"
    """The state is reached although no search of a sequentially consistent model reaches it."""


@dataclass(frozen=True)
class AccessPlace:
    """An access in the C."""

    kind: EventKind
    variable: str
    order: Order | None
    """How it is marked; None if the C does not say."""
    frame: SourceFrame

    def __str__(self) -> str:
        mark = self.order if self.order is not None else "unknown"
        return f"{mark} {self.kind} of {self.variable} in {self.frame}"


@dataclass(frozen=True, kw_only=True)
class CycleResult:
    """Cycles with the same litmus test."""

    verdict: GeneratedVerdict
    cycles: tuple[tuple[tuple[AccessPlace, ...], ...], ...]
    """Of each cycle, the accesses of each actor."""
    text: str
    """For herd7, with each access marked."""
    barriers: tuple[str, ...] = ()
    """The fewest that order it."""
    reason: str = ""
    """Why it is unknown."""


@dataclass(frozen=True, kw_only=True)
class RaceResult:
    """Two accesses of two actors that no lock keeps apart."""

    verdict: GeneratedVerdict
    places: tuple[AccessPlace, AccessPlace]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    """What is said of a scenario."""

    scenario: str
    operations: int
    """Different executions of operations that were recorded."""
    cycles: tuple[CycleResult, ...] = ()
    races: tuple[RaceResult, ...] = ()
    outside: tuple[str, ...] = ()
    """Variables that the actors share, but that are not KVM's."""
    left_out: int = 0
    """Cycles beyond the limit."""
    cut: tuple[str, ...] = ()
    """Operations that did not come to their end alone, in some order."""
    error: str = ""
    """Why nothing was asked."""
    seconds: float = field(default=0.0, compare=False)

    @property
    def verdict(self) -> GeneratedVerdict:
        """The worst one."""
        if self.error or self.left_out or self.cut:
            found = [GeneratedVerdict.UNKNOWN]
        else:
            found = [GeneratedVerdict.ORDERED]
        found += [cycle.verdict for cycle in self.cycles] + [race.verdict for race in self.races]
        return max(found, key=list(GeneratedVerdict).index)
