# SPDX-License-Identifier: GPL-2.0-only
"""Numbers for things, so that a set of things is a bit mask."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Numbering(Generic[T]):
    """Things by number, in the order in which they were met."""

    def __init__(self) -> None:
        self._bits: dict[T, int] = {}
        self._things: list[T] = []

    def bit(self, thing: T) -> int:
        """Return the mask that has the bit of `thing` alone."""
        found = self._bits.get(thing)
        if found is None:
            found = self._bits[thing] = 1 << len(self._things)
            self._things.append(thing)
        return found

    def things(self, mask: int) -> Iterator[T]:
        """Yield the things of a mask, those that were met first at the beginning."""
        while mask:
            low = mask & -mask
            yield self._things[low.bit_length() - 1]
            mask ^= low
