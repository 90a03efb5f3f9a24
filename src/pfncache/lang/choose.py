# SPDX-License-Identifier: GPL-2.0-only
"""Nondeterministic choice."""

from __future__ import annotations

from pfncache.lang import tracing


def choose(options: int) -> int:
    """An outcome that nothing in the model decides, from 0 to `options` - 1. Inside an :func:`atomic` function only."""
    return 0 if tracing.active is None else tracing.active.choose(options)


def alike(condition: bool) -> None:
    """Annotation for the reductions, after :func:`choose`: when `condition` holds, one outcome more is the same to all.

    The two differ in nothing but which of some things is meant that nobody can tell apart, so the other is enough.
    """
