# SPDX-License-Identifier: GPL-2.0-only
"""Result of one access path on one kind of memory. Standard library only: a guest sends it to the host."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class CellVerdict(enum.Enum):
    """Effect of KVM's access, as the guest observes it."""

    WORKS = "works"
    """KVM reaches the guest's memory."""
    ELSEWHERE = "elsewhere"
    """KVM reaches the page at the slot's user address, which is not the guest's memory."""
    LOST = "lost"
    """No effect, and no error."""
    FAILS = "fails"
    """No effect, and an error: an exit, or an exception in the guest."""
    BREAKS = "breaks"
    """A property is violated."""
    UNSEEN = "unseen"
    """The access cannot be tried on this machine."""


@dataclass(frozen=True)
class Observation:
    """Result of a probe on a machine."""

    verdict: CellVerdict
    how: str = ""
    """Exit or exception for FAILS, property for BREAKS, missing capability for UNSEEN; else empty."""

    def __str__(self) -> str:
        return f"{self.verdict.value}: {self.how}" if self.how else self.verdict.value


class Refused(Exception):
    """KVM refuses a request, or the guest gets an exception, which is its text."""
