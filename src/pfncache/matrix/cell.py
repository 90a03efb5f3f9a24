# SPDX-License-Identifier: GPL-2.0-only
"""What comes of one path to one kind of memory. Standard library only: this is sent out of a guest."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class CellVerdict(enum.Enum):
    """What the guest finds of what KVM does."""

    WORKS = "works"
    """KVM reaches the guest's memory."""
    ELSEWHERE = "elsewhere"
    """KVM reaches the page at the user address, which is not the guest's memory: split brain."""
    LOST = "lost"
    """Nothing happens, and nobody is told."""
    FAILS = "fails"
    """Nothing happens, and somebody is told: an exit, or an exception of the guest's."""
    BREAKS = "breaks"
    """A property is violated."""
    UNSEEN = "unseen"
    """It cannot be tried here."""


@dataclass(frozen=True)
class Observation:
    """What was seen on a machine."""

    verdict: CellVerdict
    how: str = ""
    """The exit or exception of what fails, the property of what breaks, the reason of what cannot be tried."""

    def __str__(self) -> str:
        return f"{self.verdict.value}: {self.how}" if self.how else self.verdict.value


class Refused(Exception):
    """KVM refuses, or the guest gets an exception: what its text says."""
