# SPDX-License-Identifier: GPL-2.0-only
"""Annotations of the locks that a task holds, for the lock-order check and partial-order reduction."""

from __future__ import annotations

from pfncache.lang.records import Record


def lock_acquire(lock: Record, exclusive: bool, excludes: bool = True, waits: bool = True) -> None:
    """Annotate that the running task now holds `lock`.

    `excludes` is False for a record that takes part in the lock order without mutual exclusion, such as a read-side
    critical section or a raised counter. `waits` is False for a trylock: it never blocks, so it adds no edge.
    """


def lock_release(lock: Record) -> None:
    """Annotate that the running task no longer holds `lock`."""
