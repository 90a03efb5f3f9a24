# SPDX-License-Identifier: GPL-2.0-only
"""What a design violates beside what its base violates: new, unchanged, cured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pfncache.verify.outcome import Outcome, Violation


class AgainstBase(StrEnum):
    """A violation of a design, seen from its base."""

    NEW = "new"
    """The base does not have it, or was not searched to the end."""
    UNCHANGED = "unchanged"
    """The base has it too."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The outcome of a scenario under a design beside that under its base."""

    outcome: Outcome
    new: tuple[Violation, ...] = ()
    unchanged: tuple[Violation, ...] = ()
    cured: tuple[Violation, ...] = ()
    """The base's, which the design does not have. None is claimed where the design has a new violation: the step that
    violates leads nowhere, so what the base violates may be behind it."""

    @classmethod
    def of(cls, outcome: Outcome, base: Outcome | None) -> Comparison:
        """Compare an outcome with the base's of the same scenario; without a base, every violation is new."""
        known = base.violations if base is not None else ()
        before, after = ({violation.key for violation in some} for some in (known, outcome.violations))
        new = tuple(v for v in outcome.violations if v.key not in before)
        return cls(
            outcome=outcome,
            new=new,
            unchanged=tuple(v for v in outcome.violations if v.key in before),
            cured=tuple(v for v in known if v.key not in after) if outcome.is_complete and not new else (),
        )

    def against_base(self, violation: Violation) -> AgainstBase:
        """Return how a violation of the outcome compares."""
        return AgainstBase.NEW if violation in self.new else AgainstBase.UNCHANGED
