# SPDX-License-Identifier: GPL-2.0-only
"""Where values lie in a state: slots of bits, and their allocation."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.check.program.image import WORD


@dataclass(frozen=True)
class Slot:
    """Bits of a state that hold ``value - low``."""

    word: int
    shift: int
    bits: int
    low: int

    @property
    def row(self) -> tuple[int, int, int, int]:
        """The row of the image that describes it."""
        return self.word, self.shift, self.bits, self.low

    @property
    def mask(self) -> int:
        """The bits as a mask over the state."""
        return ((1 << self.bits) - 1) << (self.word * WORD + self.shift)


class Packer:
    """Allocates bits of the state. No slot crosses a word boundary."""

    def __init__(self, start: int = 0) -> None:
        self.next = start

    def take(self, bits: int, low: int) -> Slot:
        """Return the next slot of so many bits, whose least value is `low`. Raises ValueError for more than a word."""
        if bits > WORD - 1:
            raise ValueError("a value wider than a word")
        if self.next % WORD + bits > WORD:
            self.next += WORD - self.next % WORD
        slot = Slot(self.next // WORD, self.next % WORD, bits, low)
        self.next += bits
        return slot
