# SPDX-License-Identifier: GPL-2.0-only
"""The set of visited states: whole states in the order in which they were found, and a hash table over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.hash_table import StateSpace, insert, rehash

FIRST_TABLE = 1 << 15
"""Entries of the first table."""
MAX_LOAD = 0.7
"""Load factor at which the table grows."""
GROWTH = 4
"""Factor by which the table grows."""
MAX_STATES = (1 << 31) - 1
"""States that a table entry can number."""
BYTES = 5
"""Bytes per state beside its words and its table entry: its parent and its flags."""


class Visited:
    """The state space of a search, with room for all states that are allowed from the start.

    The reservation costs no memory: the kernel allocates a page when it is first touched. Only the table, which is
    touched everywhere, grows.
    """

    def __init__(self, words: int, most: int) -> None:
        self.words = words
        self.most = min(most, MAX_STATES)
        while True:
            try:
                states = np.empty((self.most, words), dtype=np.uint64)
                parents = np.empty(self.most, dtype=np.int32)
                flags = np.zeros(self.most, dtype=np.uint8)
            except MemoryError:
                self.most //= 2
            else:
                break
        self.is_short = self.most < most
        """Whether fewer states than allowed can be numbered or reserved."""
        table = np.zeros(FIRST_TABLE, dtype=np.uint64)
        self.space = StateSpace(states=states, parents=parents, flags=flags, table=table, mask=FIRST_TABLE - 1)

    @property
    def limit(self) -> int:
        """States that fit before the table must grow."""
        return min(self.most, int(MAX_LOAD * len(self.space.table)))

    def begin(self, state: NDArray[np.uint64]) -> None:
        """Enter the initial state."""
        self.space.states[0] = state
        self.space.parents[0] = -1
        insert(self.space, 0)

    def grow(self, count: int, each: Callable[[Callable[[int], None]], object], parts: int) -> None:
        """Replace the table by a larger one and enter the first `count` states.

        `each` calls the function that it gets with every number below `parts`, in parallel if it likes.
        """
        size = len(self.space.table) * GROWTH
        self.space = space = self.space._replace(table=np.zeros(size, dtype=np.uint64), mask=size - 1)
        each(lambda part: rehash(space, count, part, parts))

    def bytes_per_state(self, count: int) -> float:
        """Memory per state, the table included, with `count` states visited."""
        return self.words * 8 + BYTES + len(self.space.table) * 8 / max(1, count)
