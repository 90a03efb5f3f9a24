# SPDX-License-Identifier: GPL-2.0-only
"""A path through a system's states."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One step of a path: which actor, and how its choose() came out."""

    actor: int
    outcome: int = 0
