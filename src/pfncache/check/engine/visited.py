# SPDX-License-Identifier: GPL-2.0-only
"""The set of visited states: compressed, in the order in which they were found, and a hash table over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.collapse import CELL_BITS
from pfncache.check.engine.hash_table import StateSpace, hash_all, insert, rehash
from pfncache.check.engine.state_store import Each, StateStore, one_after_another

FIRST_TABLE = 1 << 15
"""Entries of the first table."""
MAX_LOAD = 0.8
"""Load factor at which the table grows."""
GROWTH = 2
"""Factor by which the table grows."""
MAX_STATES = (1 << 31) - 1
"""States that a table entry can number."""
BYTES = 5
"""Bytes per state beside its cells and its table entry: its parent and its flags."""
HASHES = 1 << 18
"""States whose hashes are computed at a time when the table grows."""
ENTRY_BYTES = 5
"""Bytes of a table entry: its tag and its number."""


class Visited:
    """The state space of a search, with room for all states that are allowed from the start.

    The reservation costs no memory: the kernel allocates a page when it is first touched. Only the table, which is
    touched everywhere, grows, and the dictionaries of the compressed states do.
    """

    def __init__(self, words: int, most: int, batch: int = 1) -> None:
        self.allowed = most
        """States that the search may have."""
        self._numbered = min(most, MAX_STATES)
        while True:
            try:
                parents = np.empty(self._numbered, dtype=np.int32)
                flags = np.zeros(self._numbered, dtype=np.uint8)
            except MemoryError:
                self._numbered //= 2
            else:
                break
        self.store = StateStore(words, self._numbered, batch)
        self.space = StateSpace(
            records=self.store.records,
            parents=parents,
            flags=flags,
            tags=np.zeros(FIRST_TABLE, dtype=np.uint8),
            numbers=np.empty(FIRST_TABLE, dtype=np.uint32),
            mask=FIRST_TABLE - 1,
        )

    @property
    def most(self) -> int:
        """States that can be numbered and stored."""
        return min(self._numbered, self.store.most)

    @property
    def is_short(self) -> bool:
        """Whether fewer states than allowed can be numbered or stored."""
        return self.most < self.allowed

    @property
    def limit(self) -> int:
        """States that fit before the table must grow."""
        return min(self.most, int(MAX_LOAD * len(self.space.tags)))

    def begin(self, state: NDArray[np.uint64]) -> None:
        """Enter the initial state."""
        self.store.store(0, state)
        self.space.parents[0] = -1
        insert(self.space, 0)

    def state(self, number: int) -> NDArray[np.uint64]:
        """Return the state of a number."""
        return self.store.state(number)

    def spans(self, count: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield the first `count` states, some at a time, each time with the number of the first of them."""
        return self.store.spans(count)

    @property
    def can_grow(self) -> bool:
        """Whether grow() makes room."""
        return self.store.is_full or self.limit < self.most

    def widen(self, count: int, coming: int, each: Each = one_after_another, parts: int = 1) -> None:
        """Make room for more values beside those of `count` states.

        `each` calls the function that it gets with every number below `parts`, in parallel if it likes. Raises
        MemoryError if there is no memory for the states any more, with those that are `coming`.
        """
        self.store.widen(count, coming, each, parts)
        self.space = self.space._replace(records=self.store.records)

    def grow(self, count: int, each: Each = one_after_another, parts: int = 1) -> None:
        """Make room for more than `count` states: larger dictionaries, or a larger table in which all are entered.

        `each` and `parts` as for widen().
        """
        if self.store.is_full:
            self.widen(count, self.store.batch, each, parts)
            return
        size = len(self.space.tags) * GROWTH
        self.space = space = self.space._replace(
            tags=np.zeros(size, dtype=np.uint8), numbers=np.empty(size, dtype=np.uint32), mask=size - 1
        )
        hashes = np.empty(min(count, HASHES), dtype=np.uint64)
        scratch = [np.empty(self.store.words, dtype=np.uint64) for _ in range(parts)]
        for first in range(0, count, HASHES):
            found = hashes[: min(HASHES, count - first)]

            def hash_share(part: int, first: int = first, found: NDArray[np.uint64] = found) -> None:
                begin, end = len(found) * part // parts, len(found) * (part + 1) // parts
                hash_all(space.records, first + begin, scratch[part], found[begin:end])

            def enter_share(part: int, first: int = first, found: NDArray[np.uint64] = found) -> None:
                rehash(space, found, first, part, parts)

            each(hash_share)
            each(enter_share)

    def bytes_per_state(self, count: int) -> float:
        """Memory per state, the table and the dictionaries included, with `count` states visited."""
        shared = len(self.space.tags) * ENTRY_BYTES + self.store.dictionary_bytes
        return self.store.cells * CELL_BITS / 8 + BYTES + shared / max(1, count)
