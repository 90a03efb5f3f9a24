# SPDX-License-Identifier: GPL-2.0-only
"""What a comparison of two designs in a scenario has found. Imports nothing of the search."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pfncache.check.verdict import Verdict

Value = int | str | None
"""Of a variable: a number, or the name of a record."""


class Agreement(StrEnum):
    """How two designs compare in a scenario, in the order from the best to the worst."""

    SAME = "same"
    """The same verdict, properties and final states."""
    EXPLAINED = "explained"
    """Different, for a reason that is written down."""
    INCOMPLETE = "incomplete"
    """Not both were searched to the end."""
    DIFFERENT = "different"


@dataclass(frozen=True, kw_only=True)
class SideResult:
    """The search of a scenario under one of the two designs."""

    verdict: Verdict
    properties: tuple[str, ...] = ()
    """The violated ones, in the order of the alphabet."""
    states: int = 0
    final: int = 0
    """Final states that differ in a variable that both designs have."""
    limit: str = ""
    """What ended the search early."""
    is_complete: bool = True


@dataclass(frozen=True, kw_only=True)
class VariableDifference:
    """A variable that has another value in a final state than in the nearest one of the other design."""

    name: str
    reference: Value
    subject: Value

    def __str__(self) -> str:
        return f"{self.name} {self.reference} | {self.subject}"


@dataclass(frozen=True, kw_only=True)
class FinalDifference:
    """Final states that one of the two designs has alone."""

    design: str
    """The design that has them."""
    count: int
    example: tuple[VariableDifference, ...] = ()
    """In what one of them differs from the nearest one of the other design; nothing if that has none."""


@dataclass(frozen=True, kw_only=True)
class ScenarioFidelity:
    """Two designs in one scenario."""

    scenario: str
    reference: SideResult
    subject: SideResult
    finals: tuple[FinalDifference, ...] = ()
    reason: str = ""
    """Why they differ, where that is known."""

    @property
    def differs(self) -> bool:
        """Whether the two differ in anything, complete or not."""
        sides = [(side.verdict, side.properties) for side in (self.reference, self.subject)]
        return sides[0] != sides[1] or bool(self.finals)

    @property
    def agreement(self) -> Agreement:
        """How the two compare."""
        if not (self.reference.is_complete and self.subject.is_complete):
            return Agreement.INCOMPLETE
        if not self.differs:
            return Agreement.SAME
        return Agreement.EXPLAINED if self.reason else Agreement.DIFFERENT

    @classmethod
    def unknown(cls, scenario: str, verdict: Verdict, limit: str) -> ScenarioFidelity:
        """Return the result of a comparison that did not take place."""
        side = SideResult(verdict=verdict, limit=limit, is_complete=False)
        return cls(scenario=scenario, reference=side, subject=side)
