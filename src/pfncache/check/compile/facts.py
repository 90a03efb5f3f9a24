# SPDX-License-Identifier: GPL-2.0-only
"""Facts of a system: what its code depends on apart from what is written."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from pfncache.check.compile.numbering import Numbering
from pfncache.check.compile.queries import PLAIN, Queries, Query
from pfncache.lang.records import Record

Fact = tuple[Query, object]
"""A query with an answer."""
RUNNING: Query = (Queries.running,)
"""The query whose answer depends on the actor."""


class SystemFacts:
    """The facts that hold in a system while one of its actors is compiled. Each query is made once at most."""

    def __init__(self, queries: Queries, numbers: Numbering[Fact], keys: Numbering[Hashable]) -> None:
        self.queries = queries
        self.numbers = numbers
        self._keys = keys
        self._short: dict[int, object] = {}
        """Short keys of objects by id."""
        self._bits: dict[Query, int] = {}
        """The fact that holds, by its query."""
        self._holding = 0
        self._refuted = 0

    def run_as(self, task: Record | None) -> None:
        """Let `task` be the one that runs."""
        self.queries.task = task
        self._bits.pop(RUNNING, None)
        self._holding = self._refuted = 0
        for bit in self._bits.values():
            self._holding |= bit

    def key(self, value: Any) -> object:
        """Return the key of a value; a short one for what is not a number or a record."""
        if isinstance(value, (*PLAIN, Record)):
            return self.queries.key(value)
        short = self._short.get(id(value))
        if short is None:  # the queries keep the object, so that its id remains its own
            short = self._short[id(value)] = Queries, self._keys.bit(self.queries.key(value))
        return short

    def bit(self, query: Query) -> int:
        """Return the mask of the fact that answers a query."""
        found = self._bits.get(query)
        if found is None:
            found = self._bits[query] = self.numbers.bit((query, self.queries.answer(query)))
            self._holding |= found
        return found

    def hold(self, facts: int) -> bool:
        """Return whether all facts of a mask hold."""
        if facts & self._refuted:
            return False
        unknown = facts & ~self._holding
        while unknown:
            low = unknown & -unknown
            (query, _) = next(self.numbers.things(low))
            if self.bit(query) != low:
                self._refuted |= low
                return False
            unknown ^= low
        return True
