# SPDX-License-Identifier: GPL-2.0-only
"""The set of visited states: whole states in the order in which they were found, and a table to find them by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.hash_table import insert, rehash

FIRST_TABLE = 1 << 15
"""Places of the first table."""
LOAD = 0.7
"""Of the table, at most."""
GROWTH = 4
"""How many times larger the next table is."""
MOST = (1 << 31) - 1
"""States that a table can tell apart by number."""
BYTES = 5
"""Of a state beside its words and its place: its parent, and what is noted of it."""


class Visited:
    """States, the state that each was found from, notes, and the table.

    There is room for all states that are allowed from the start. It costs nothing: the kernel hands out a page when it
    is first touched. Only the table, which is touched everywhere, grows.
    """

    def __init__(self, words: int, most: int) -> None:
        self.words = words
        self.most = min(most, MOST)
        while True:
            try:
                self.states = np.empty((self.most, words), dtype=np.uint64)
                self.parents = np.empty(self.most, dtype=np.int32)
                self.onward = np.zeros(self.most, dtype=np.uint8)
            except MemoryError:
                self.most //= 2
            else:
                break
        self.is_short = self.most < most
        """Whether there is less room than was wanted."""
        self.table = np.zeros(FIRST_TABLE, dtype=np.uint64)

    @property
    def mask(self) -> int:
        """Of a hash: the bits that are a place of the table."""
        return len(self.table) - 1

    @property
    def limit(self) -> int:
        """States for which there is room before the table must grow."""
        return min(self.most, int(LOAD * len(self.table)))

    def begin(self, state: NDArray[np.uint64]) -> None:
        """Enter the first state."""
        self.states[0] = state
        self.parents[0] = -1
        insert(self.states, self.table, self.mask, 0, self.words)

    def grow(self, count: int, each: Callable[[Callable[[int], None]], object], parts: int) -> None:
        """A larger table for the first `count` states; `each` calls a function with the number of each of the parts."""
        self.table = np.zeros(len(self.table) * GROWTH, dtype=np.uint64)
        each(lambda part: rehash(self.states, self.table, self.mask, count, self.words, part, parts))

    def bytes_per_state(self, count: int) -> float:
        """What a state takes in all."""
        return self.words * 8 + BYTES + len(self.table) * 8 / max(1, count)
