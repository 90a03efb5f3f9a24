# SPDX-License-Identifier: GPL-2.0-only
"""Nondeterministic choice."""

from __future__ import annotations

from pfncache.lang import tracing


def choose(options: int) -> int:
    """Nondeterministic choice of 0 to `options` - 1; 0 in direct execution. Inside an :func:`atomic` function only."""
    return 0 if tracing.active is None else tracing.active.choose(options)


def symmetric(condition: bool) -> None:
    """Annotate a :func:`choose` for symmetry reduction: when `condition` holds, its outcome need not be explored.

    Another outcome then leads to an equivalent state: the two differ by a permutation of indistinguishable records.
    """
