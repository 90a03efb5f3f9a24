# SPDX-License-Identifier: GPL-2.0-only
"""What a design violates beside what its base violates: new, unchanged, cured."""

from __future__ import annotations

from collections.abc import Sequence
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
    def of(cls, outcome: Outcome, base: Outcome | None, functions: frozenset[str] = frozenset()) -> Comparison:
        """Compare an outcome with the base's of the same scenario; without a base, every violation is new.

        `functions` are those of the base's kernel: another one on the way to a violation is the design's own.
        """
        known = base.violations if base is not None else ()
        pairs = _paired(outcome.violations, known, functions)
        new = tuple(v for v in outcome.violations if v not in pairs)
        gone = tuple(v for v in known if v not in pairs.values())
        return cls(
            outcome=outcome,
            new=new,
            unchanged=tuple(v for v in outcome.violations if v in pairs),
            cured=gone if outcome.is_complete and not new else (),
        )

    def against_base(self, violation: Violation) -> AgainstBase:
        """Return how a violation of the outcome compares."""
        return AgainstBase.NEW if violation in self.new else AgainstBase.UNCHANGED


def _paired(
    mine: Sequence[Violation], known: Sequence[Violation], functions: frozenset[str]
) -> dict[Violation, Violation]:
    """Return violations of a design, each with the one of its base that it is.

    It is one with the same key, and with the same calls if there is one; else with calls that a patch has made of the
    other's. One violation of the base is at most one of the design.
    """
    left = list(known)
    pairs: dict[Violation, Violation] = {}
    alike = [(v, w) for v in mine for w in known if v.key == w.key and _may_be(v, w, functions)]
    for violation, other in sorted(alike, key=lambda pair: _distance(*pair)):
        if violation not in pairs and other in left:
            pairs[violation] = other
            left.remove(other)
    return pairs


def _may_be(mine: Violation, known: Violation, functions: frozenset[str]) -> bool:
    """Return whether a violation comes from the same operation, and by no function that the base calls elsewhere.

    A patch renames a function that is called on the way, or adds one; what it does not touch stays where it is.
    """
    elsewhere = functions - set(known.functions)
    return mine.functions[:1] == known.functions[:1] and elsewhere.isdisjoint(mine.functions)


def _distance(mine: Violation, known: Violation) -> int:
    """Return the number of calls that two violations do not have in common."""
    return len(set(mine.calls) ^ set(known.calls))
