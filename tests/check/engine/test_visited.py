# SPDX-License-Identifier: GPL-2.0-only
"""Memory for states is reserved, not used; the table grows, and every state is found again."""

from __future__ import annotations

import resource

import numpy as np
import pytest

from pfncache.check.engine.hash_table import find, insert
from pfncache.check.engine.visited import FIRST_TABLE, MAX_STATES, Visited


def filled(count: int, parts: int = 1) -> Visited:
    """Return `count` states of two words each, in a table that grows in so many parts."""
    visited = Visited(2, 1_000_000)
    visited.begin(np.array([0, 1], dtype=np.uint64))
    for number in range(1, count):
        if number == visited.limit:
            visited.grow(number, lambda do: list(map(do, range(parts))), parts)
        visited.space.states[number] = (number // 7, number * 3 + 1)
        assert insert(visited.space, number)
    return visited


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_every_state_is_found_after_growth(parts: int) -> None:
    """The new table is filled in one part or in several."""
    count = 30_000
    visited = filled(count, parts)
    assert len(visited.space.table) == FIRST_TABLE * 4
    numbers = [find(visited.space, visited.space.states[n]) for n in range(count)]
    assert numbers == list(range(count))
    assert find(visited.space, np.array([0, 2], dtype=np.uint64)) == -1


def test_a_known_state_is_not_entered_again() -> None:
    visited = filled(100)
    visited.space.states[100] = visited.space.states[42]
    assert not insert(visited.space, 100)


def test_a_reservation_is_not_memory() -> None:
    """A reservation for fifty million states, of which none is used."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    visited = Visited(7, 50_000_000)
    assert visited.space.states.nbytes == 2_800_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_a_reservation_that_fails_is_halved() -> None:
    """No machine has the address space for so many states; `is_short` makes the search report memory as the limit."""
    visited = Visited(4000, 1 << 62)
    assert visited.is_short
    assert 0 < visited.most <= MAX_STATES


def test_size_of_a_state() -> None:
    visited = filled(FIRST_TABLE // 2)
    assert visited.bytes_per_state(FIRST_TABLE // 2) == 2 * 8 + 5 + 16
