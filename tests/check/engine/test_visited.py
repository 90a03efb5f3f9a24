# SPDX-License-Identifier: GPL-2.0-only
"""Memory for states is reserved, not used; table and dictionaries grow, and every state is found again."""

from __future__ import annotations

import resource

import numpy as np
import pytest

from pfncache.check.engine.hash_table import find, insert
from pfncache.check.engine.visited import FIRST_TABLE, MAX_LOAD, MAX_STATES, Visited


def filled(count: int, parts: int = 1) -> Visited:
    """Return `count` states of two words each, in a table that grows in so many parts."""
    visited = Visited(2, 1_000_000)
    visited.begin(np.array([0, 1], dtype=np.uint64))
    for number in range(1, count):
        while number == visited.limit or visited.store.is_full:
            visited.grow(number, lambda do: list(map(do, range(parts))), parts)
        visited.store.store(number, np.array([number // 7, number * 3 + 1], dtype=np.uint64))
        assert insert(visited.space, number)
    return visited


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_every_state_is_found_after_growth(parts: int) -> None:
    """The new table is filled in one part or in several."""
    count = 60_000
    visited = filled(count, parts)
    assert len(visited.space.tags) == FIRST_TABLE * 4  # 26,214 states fit in the first, 52,428 in the second
    assert [find(visited.space, visited.state(n)) for n in range(count)] == list(range(count))
    assert find(visited.space, np.array([0, 2], dtype=np.uint64)) == -1


def test_a_known_state_is_not_entered_again() -> None:
    visited = filled(100)
    visited.store.store(100, visited.state(42))
    assert not insert(visited.space, 100)


def test_tags_that_collide_do_not_make_states_equal() -> None:
    """Of 60,000 states, many with neighbouring entries have the same one of 255 tags."""
    visited = filled(60_000)
    used = visited.space.tags[visited.space.tags != 0]
    assert len(np.unique(used)) == 255
    assert np.count_nonzero(used[1:] == used[:-1]) > 100
    assert sorted(visited.space.numbers[visited.space.tags != 0].tolist()) == list(range(1, 60_001))


def test_a_reservation_is_not_memory() -> None:
    """A reservation for fifty million states, of which none is used."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    visited = Visited(7, 50_000_000)
    assert visited.most == 50_000_000
    assert visited.space.records.cells.nbytes >= 50_000_000 * 7 * 8 - 16
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_a_reservation_that_fails_is_halved() -> None:
    """No machine has the address space for so many states; `is_short` makes the search report memory as the limit."""
    visited = Visited(4000, 1 << 62)
    assert visited.is_short
    assert 0 < visited.most <= MAX_STATES


def test_size_of_a_state() -> None:
    """A record of one cell, a parent and flags; a table of five bytes an entry; two dictionaries of 512 values."""
    count = int(FIRST_TABLE * MAX_LOAD)
    visited = Visited(2, 1_000_000)
    assert visited.bytes_per_state(count) == 4 + 5 + (FIRST_TABLE * 5 + 2 * 512 * 16) / count
    assert round(visited.bytes_per_state(count), 2) == 15.88
