# SPDX-License-Identifier: GPL-2.0-only
"""Targets: what a scenario is there to reach. The search marks those that any interleaving reaches."""

from __future__ import annotations


def reached(target: str, condition: bool = True) -> None:
    """Mark `target` as reached if `condition` holds.

    `target` is a sentence whose last word is a participle, such as "the clock was written". The mark is no step and no
    part of the state: the search observes it on a transition, and direct execution does nothing.
    """


def unreached(target: str) -> str:
    """Return the negation of a target: "the clock was never written"."""
    subject, _, participle = target.rpartition(" ")
    return f"{subject} never {participle}"
