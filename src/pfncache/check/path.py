# SPDX-License-Identifier: GPL-2.0-only
"""A path through the state space of a system."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One step of a path: its actor, and the outcome of its nondeterministic choice."""

    actor: int
    outcome: int = 0
    halts: bool = False
    """Of a step that consists of several, of which one violates a property: the actor halts before that one."""
