# SPDX-License-Identifier: GPL-2.0-only
"""Annotations for lockdep and for the reductions: which locks the running task holds."""

from __future__ import annotations

from pfncache.lang.records import Record


def lock_acquire(lock: Record, exclusive: bool, excludes: bool = True, waits: bool = True) -> None:
    """Annotation for lockdep and the reductions: the running task now holds `lock`.

    `excludes` is False for what takes part in the lock order but keeps nobody out: an SRCU section, a raised counter.
    `waits` is False for a trylock, which cannot be a part of a deadlock by being taken.
    """


def lock_release(lock: Record) -> None:
    """Annotation for lockdep and the reductions: the running task lets go of `lock`."""
