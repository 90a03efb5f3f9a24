# SPDX-License-Identifier: GPL-2.0-only
"""What a search has reached of what its scenario is there to reach."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pfncache.lang.reached import unreached
from pfncache.properties.targets import INFORMATIVE, OBSERVED


@dataclass(frozen=True, kw_only=True)
class TargetResult:
    """Whether a search has reached a target."""

    target: str
    reached: bool
    required: bool = False
    """The scenario states it: a search that finds nothing and does not reach it is vacuous."""
    unreachable: str = ""
    """Why it cannot be reached, where the scenario or the design states so: then it is not missed."""

    @property
    def is_unreached(self) -> bool:
        """Whether the target is not reached, and no reason is stated."""
        return not self.reached and not self.unreachable

    @property
    def is_missed(self) -> bool:
        """Whether the target is required, too."""
        return self.required and self.is_unreached

    @property
    def text(self) -> str:
        """The target as a sentence that is true."""
        return self.target if self.reached else unreached(self.target)

    def as_json(self) -> dict[str, object]:
        """Return the result as the JSON schema has it."""
        return {
            "target": self.target,
            "reached": self.reached,
            "required": self.required,
            "unreachable": self.unreachable or None,
        }


def results_of(
    known: Collection[str], reached: Collection[str], required: Collection[str], unreachable: Mapping[str, str]
) -> tuple[TargetResult, ...]:
    """Return the result of each target: those that are required, that are always observed, and that the code marks."""
    return tuple(
        TargetResult(
            target=target, reached=target in reached, required=target in required,
            unreachable=unreachable.get(target, ""),
        )
        for target in dict.fromkeys((*required, *OBSERVED, *known))
    )  # fmt: skip


def compared(results: Iterable[TargetResult]) -> frozenset[str]:
    """Return the reached targets that a design on top has to reach, too."""
    return frozenset(r.target for r in results if r.reached) - INFORMATIVE


def missed(results: Iterable[TargetResult], base: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the targets that are missed; `base` are those that the base of the design has reached."""
    return tuple(r.target for r in results if r.is_missed or (r.target in base and not r.reached and not r.unreachable))


def vacuity(targets: Iterable[str]) -> str:
    """Return why a search is vacuous, in words."""
    return ", ".join(map(unreached, targets))
