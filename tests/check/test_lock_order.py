# SPDX-License-Identifier: GPL-2.0-only
"""Cycles in the order of lock classes, from acquisitions as a search records them."""

from __future__ import annotations

from typing import Any

import pytest

from pfncache.check.ir import LockUse
from pfncache.check.lock_order import find_cycles

Acquisition = tuple[frozenset[str], LockUse, Any]


def taking(name: str, *held: str, exclusive: bool = True, excludes: bool = True, waits: bool = True) -> Acquisition:
    """Return an acquisition of a lock class while others are held."""
    return frozenset(held), LockUse(locks=(), name=name, exclusive=exclusive, excludes=excludes, waits=waits), None


@pytest.mark.parametrize(
    ("acquisitions", "cycles"),
    [
        ([taking("a"), taking("b", "a")], []),
        ([taking("a"), taking("b", "a"), taking("a", "b")], ["lock order: a -> b (?), b -> a (?)"]),
        (
            [taking("a", "c"), taking("b", "a"), taking("c", "b")],
            ["lock order: a -> b (?), b -> c (?), c -> a (?)"],
        ),
        # Two cycles, each through classes of its own.
        (
            [taking(name, held) for name, held in ("ab", "ba", "cd", "dc")],
            ["lock order: a -> b (?), b -> a (?)", "lock order: c -> d (?), d -> c (?)"],
        ),
        # A trylock never blocks, so it adds no edge.
        ([taking("a"), taking("b", "a"), taking("a", "b", waits=False)], []),
        # Locks of one class are not ordered.
        ([taking("a", "a")], []),
        # A read lock blocks behind a writer that waits.
        ([taking("a", exclusive=False), taking("b", "a"), taking("a", "b")], ["lock order: a -> b (?), b -> a (?)"]),
        # A counter that no actor waits for: its holders do not exclude each other.
        ([taking("n", "a", exclusive=False, excludes=False), taking("a", "n")], []),
    ],
)
def test_cycles(acquisitions: list[Acquisition], cycles: list[str]) -> None:
    assert find_cycles(acquisitions, [True] * len(acquisitions)) == cycles


def test_an_acquisition_that_was_not_executed_does_not_count() -> None:
    acquisitions = [taking("a"), taking("b", "a"), taking("a", "b")]
    assert find_cycles(acquisitions, [True, True, False]) == []
