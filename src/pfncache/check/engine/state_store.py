# SPDX-License-Identifier: GPL-2.0-only
"""The memory of compressed states: dictionaries and records that become larger as more values are met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.collapse import (
    CELL_BITS,
    RAW,
    Records,
    WordRow,
    convert,
    copy_dictionaries,
    load,
    load_all,
    room,
    store,
)

FIRST_ROOM = 512
"""Values of a new dictionary, at least."""
GROWTH, SMALL_GROWTH = 2, 4
"""Factor by which a full dictionary grows, and one of less than SMALL_ROOM values."""
SMALL_ROOM = 4096
SLOTS_PER_VALUE = 2
"""Slots of a dictionary's hash table for each value that it has room for."""
VALUE_BYTES = 8 + 4 * SLOTS_PER_VALUE
"""Bytes of a dictionary for each value that it has room for."""
MAX_SMALL_ROOM = 1 << 20
"""Values of a dictionary that is so small that it need not save memory."""
WORD_BITS = 64
Each = Callable[[Callable[[int], None]], object]
"""Calls a function with each number of a thread or of a part, in parallel if it likes."""
MIN_CONVERTED = 4096
"""Records that are worth sharing among threads, at least."""
SPAN = 1 << 16
"""States that are decompressed at a time."""


def one_after_another(do: Callable[[int], None]) -> None:
    """Do all of the work on this thread: what Each does for one part."""
    do(0)


class RecordBits(NamedTuple):
    """Bits of a record."""

    cell: int
    shift: int
    bits: int
    """More than those of a cell are all of it and of the next one."""


def placed(widths: Sequence[int], least: int = 1) -> tuple[list[RecordBits], int]:
    """RecordBits fields of so many bits in cells, and return their places and the number of cells.

    First fit, the widest first. The bits that are left in a cell are shared out among its fields.
    """
    places = [RecordBits(0, 0, 0)] * len(widths)
    left: list[int] = []
    within: list[list[int]] = []
    for field in sorted(range(len(widths)), key=lambda f: -widths[f]):
        if widths[field] > CELL_BITS:
            places[field] = RecordBits(len(left), 0, WORD_BITS)
            left += [0, 0]
            within += [[], []]
            continue
        cell = next((c for c, bits in enumerate(left) if bits >= widths[field]), len(left))
        if cell == len(left):
            left.append(CELL_BITS)
            within.append([])
        left[cell] -= widths[field]
        within[cell].append(field)
    for cell, fields in enumerate(within):
        shift = 0
        for i, field in enumerate(fields):
            bits = widths[field] + left[cell] // len(fields) + (i < left[cell] % len(fields))
            places[field] = RecordBits(cell, shift, bits)
            shift += bits
    return places, max(least, len(left))


class StateStore:
    """States by number, compressed, in memory that is reserved from the start.

    The reservation costs no memory: the kernel allocates a page when it is first touched.
    """

    def __init__(self, words: int, most: int, batch: int) -> None:
        self.words = words
        self.batch = batch
        """States that are stored between two looks at the room."""
        self.rooms = [1 << max(FIRST_ROOM - 1, 2 * batch).bit_length()] * words
        """Values that each word's dictionary has room for; 0 for a raw word."""
        self._reserved = _reserve(most * words * (WORD_BITS // CELL_BITS))
        self.places, cells = placed([_index_bits(values) for values in self.rooms])
        self.records = self._new_records([0] * words, cells)

    @property
    def cells(self) -> int:
        """Cells of a record."""
        return int(self.records.cells.shape[1])

    @property
    def most(self) -> int:
        """States that the reservation has room for."""
        return int(self.records.cells.shape[0])

    @property
    def is_full(self) -> bool:
        """Whether the dictionaries have no room for another batch."""
        return bool(room(self.records) < self.batch)

    @property
    def dictionary_bytes(self) -> int:
        """Memory of the dictionaries."""
        return self.records.values.nbytes + self.records.slots.nbytes

    def store(self, number: int, state: NDArray[np.uint64]) -> None:
        """Make `state` the state of a number."""
        store(self.records, number, state, True)

    def state(self, number: int) -> NDArray[np.uint64]:
        """Return the state of a number."""
        found = np.empty(self.words, dtype=np.uint64)
        load(self.records, number, found)
        return found

    def spans(self, count: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield the first `count` states, some at a time, each time with the number of the first of them."""
        for first in range(0, count, SPAN):
            found = np.empty((min(SPAN, count - first), self.words), dtype=np.uint64)
            load_all(self.records, first, found)
            yield first, found

    def widen(self, count: int, coming: int, each: Each = one_after_another, parts: int = 1) -> None:
        """Make room in the dictionaries that are full, with `count` states stored: no state changes its number.

        A dictionary that would take more memory than it saves is given up: its word is raw from then on. `each` calls
        a function with every number below `parts`, in parallel if it likes. Raises MemoryError if there is no memory
        for the states any more, with those that are `coming`.
        """
        old = self.records
        counts = old.fields[:, WordRow.COUNT].tolist()
        rooms = [self._grown(values, has, count) for values, has in zip(self.rooms, counts, strict=True)]
        widths = [_index_bits(values) for values in rooms]
        fits = all(width <= place.bits for width, place in zip(widths, self.places, strict=True))
        places, cells = (self.places, self.cells) if fits else placed(widths, self.cells)
        if count + coming > self._rows(cells):
            raise MemoryError
        self.rooms, self.places = rooms, places
        self.records = self._new_records(counts, cells)
        copy_dictionaries(old, self.records)
        if not fits:
            self._convert(old, count, each, parts)

    def _convert(self, old: Records, count: int, each: Each, parts: int) -> None:
        """Copy the first `count` records, which are in the memory of the new ones, from the last one on.

        New records from number `begin` on overwrite no old one below `end` if they begin behind it. So these can be
        copied in parallel.
        """
        before, cells = int(old.cells.shape[1]), self.cells
        scratch = np.empty((parts, self.words), dtype=np.uint64)
        end = count
        while end > 0:
            begin = -(-end * before // cells) if cells > before else 0
            shared = parts if end - begin >= MIN_CONVERTED else 1
            if shared == 1:
                begin = 0

            def copy(part: int, begin: int = begin, end: int = end, shared: int = shared) -> None:
                if part < shared:
                    share = [begin + (end - begin) * n // shared for n in (part, part + 1)]
                    convert(old, self.records, share[0], share[1], scratch[part])

            each(copy)
            end = begin

    def _grown(self, values: int, has: int, count: int) -> int:
        """Return the room of a dictionary from now on, with room for so many `values`, of which it `has` some."""
        if values - has >= max(self.batch, values // 4) or not values:
            return values
        grown = values * (SMALL_GROWTH if values < SMALL_ROOM else GROWTH)
        saved = count * (WORD_BITS - _index_bits(grown)) // 8
        return 0 if grown > MAX_SMALL_ROOM and grown * VALUE_BYTES > saved else grown

    def _rows(self, cells: int) -> int:
        return len(self._reserved) // cells

    def _new_records(self, counts: list[int], cells: int) -> Records:
        """Return records with room for the dictionaries, which are empty, but whose numbers of values are set."""
        rows: list[list[int]] = []
        first = 0
        for values, count, place in zip(self.rooms, counts, self.places, strict=True):
            slots = values * SLOTS_PER_VALUE
            field = {
                WordRow.CELL: place.cell,
                WordRow.SHIFT: place.shift,
                WordRow.MASK: (1 << place.bits) - 1,
                WordRow.FIRST: first if values else RAW,
                WordRow.FIRST_SLOT: first * SLOTS_PER_VALUE,
                WordRow.SLOT_MASK: max(0, slots - 1),
                WordRow.SLOT_SHIFT: WORD_BITS + 1 - max(1, slots).bit_length(),
                WordRow.COUNT: count,
                WordRow.ROOM: values,
            }
            rows.append(list(field.values()))
            first += values
        most = self._rows(cells)
        return Records(
            cells=self._reserved[: most * cells].reshape(most, cells),
            fields=np.array(rows, dtype=np.uint64),
            values=np.empty(first, dtype=np.uint64),
            slots=np.zeros(first * SLOTS_PER_VALUE, dtype=np.uint32),
        )


def _index_bits(values: int) -> int:
    """Return the bits of an index of so many values, or of a raw word."""
    return (values - 1).bit_length() if values else WORD_BITS


def _reserve(cells: int) -> NDArray[np.uint32]:
    """Return an array of so many cells, or of fewer if there is no address space for it."""
    while True:
        try:
            return np.empty(cells, dtype=np.uint32)
        except MemoryError:
            cells //= 2
