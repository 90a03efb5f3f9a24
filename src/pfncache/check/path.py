# SPDX-License-Identifier: GPL-2.0-only
"""Paths through the states of a system."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One step of a path: the actor, and the outcome of its nondeterministic choice."""

    actor: int
    outcome: int = 0
