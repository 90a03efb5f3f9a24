# SPDX-License-Identifier: GPL-2.0-only
"""The verdicts of a search."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The verdict of a search, or of several together: the worst of theirs, in the order given here."""

    HOLDS = "holds"
    """Every reachable state was searched, and none violates a property."""
    BOUNDED = "bounded"
    """A limit ended the search before it was complete."""
    VIOLATED = "violated"
