# SPDX-License-Identifier: GPL-2.0-only
"""The verdicts on a system."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The verdict on one system, in the order from the best to the worst.

    A search itself ends as HOLDS, BOUNDED or VIOLATED. The others are of systems that were not searched, or whose
    search says nothing.
    """

    HOLDS = "holds"
    """Every reachable state was searched, and none violates a property."""
    VACUOUS = "vacuous"
    """As HOLDS, but what the system is there to reach was never reached."""
    NOT_APPLICABLE = "not-applicable"
    """Not searched: the design does not have what the system needs."""
    BOUNDED = "bounded"
    """A limit ended the search before it was complete."""
    LOST = "lost"
    """Not searched: the worker process died, and died again when the job was repeated."""
    VIOLATED = "violated"


INCOMPLETE = frozenset({Verdict.VACUOUS, Verdict.NOT_APPLICABLE, Verdict.BOUNDED, Verdict.LOST})
"""Verdicts that neither show a violation nor exclude one."""
