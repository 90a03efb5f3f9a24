# SPDX-License-Identifier: GPL-2.0-only
"""Collapse compression of visited states (Holzmann), native through Numba: exact, and of random access.

The values that a word has in the visited states are in a dictionary, and a state is a record of a few 32-bit cells that
hold the index of each word's value. A raw word has no dictionary: two cells hold its value itself.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.numba_cache import inline_njit, njit, uint64

RAW = (1 << 64) - 1
"""Instead of the offset of a dictionary: the word has none."""
MISSING = (1 << 64) - 1
"""Instead of the index of a value: the dictionary does not have it."""
MULTIPLIER = 0x9E3779B97F4A7C15
"""Odd factor that spreads a value over the high bits of its hash."""
CELL_BITS = 32


class WordRow(IntEnum):
    """What describes a word of a state: the row of an array."""

    CELL = 0
    """The cell of a record with the index; of a raw word, the cell with its low half, before that with the high one."""
    SHIFT = 1
    """The lowest bit of that cell which belongs to the index. No index crosses a cell boundary."""
    MASK = 2
    """The bits of an index."""
    FIRST = 3
    """The offset of the dictionary in Records.values, by index; RAW for a word without one."""
    FIRST_SLOT = 4
    """The offset of its hash table in Records.slots."""
    SLOT_MASK = 5
    """The bits of the number of a slot."""
    SLOT_SHIFT = 6
    """Bits of a hash below those that are the number of a slot."""
    COUNT = 7
    """Values in the dictionary."""
    ROOM = 8
    """Values that it may have."""


class Records(NamedTuple):
    """States by number, compressed, and what is needed to read them."""

    cells: NDArray[np.uint32]
    """By number of a state, then by cell."""
    fields: NDArray[np.uint64]
    """By word of a state, then by WordRow."""
    values: NDArray[np.uint64]
    """The values of all dictionaries."""
    slots: NDArray[np.uint32]
    """The hash tables of all dictionaries: an index + 1, or 0 for an empty slot."""


@inline_njit
def _value(records: Records, number: Any, word: Any) -> Any:
    """Return a word of the state of a number."""
    cells, fields = records.cells, records.fields
    at = fields[word, WordRow.CELL]
    value = uint64(cells[number, at])
    first = fields[word, WordRow.FIRST]
    if first == uint64(RAW):
        value |= uint64(cells[number, at + uint64(1)]) << uint64(CELL_BITS)
    else:
        value = records.values[first + ((value >> fields[word, WordRow.SHIFT]) & fields[word, WordRow.MASK])]
    return value


@njit
def load(records: Records, number: Any, state: NDArray[np.uint64]) -> None:
    """Copy the state of a number to `state`."""
    for word in range(uint64(records.fields.shape[0])):
        state[word] = _value(records, number, word)


@njit
def equals(records: Records, number: Any, state: NDArray[np.uint64]) -> bool:
    """Return whether the state of a number is `state`."""
    same = True
    for word in range(uint64(records.fields.shape[0])):
        if _value(records, number, word) != state[word]:
            same = False
            break
    return same


@inline_njit
def _first_slot(fields: NDArray[np.uint64], word: Any, value: Any) -> Any:
    """Return the slot at which the search for a value begins: the highest bits of its hash, on which all bits act."""
    return ((value ^ (value >> uint64(CELL_BITS))) * uint64(MULTIPLIER)) >> fields[word, WordRow.SLOT_SHIFT]


@inline_njit
def _index_of(records: Records, word: Any, value: Any, enter: bool) -> Any:
    """Return the index of a word's value, which is entered if it is new, or else MISSING."""
    fields, values, slots = records.fields, records.values, records.slots
    first, first_slot = fields[word, WordRow.FIRST], fields[word, WordRow.FIRST_SLOT]
    at = _first_slot(fields, word, value)
    entry = uint64(slots[first_slot + at])
    while entry != uint64(0) and values[first + entry - uint64(1)] != value:
        at = (at + uint64(1)) & fields[word, WordRow.SLOT_MASK]
        entry = uint64(slots[first_slot + at])
    index = entry - uint64(1)  # of no entry, this is MISSING
    if enter and entry == uint64(0):
        index = fields[word, WordRow.COUNT]
        values[first + index] = value
        slots[first_slot + at] = index + uint64(1)
        fields[word, WordRow.COUNT] = index + uint64(1)
    return index


@inline_njit
def _put(cells: NDArray[np.uint32], fields: NDArray[np.uint64], number: Any, word: Any, index: Any) -> None:
    """Add the index of a word, or its value if it is raw, to a record, which begins with zeros."""
    at = fields[word, WordRow.CELL]
    if fields[word, WordRow.FIRST] == uint64(RAW):
        cells[number, at] = index
        cells[number, at + uint64(1)] = index >> uint64(CELL_BITS)
    else:
        cells[number, at] |= index << fields[word, WordRow.SHIFT]


@njit
def store(records: Records, number: Any, state: NDArray[np.uint64], enter: bool) -> bool:
    """Make `state` the state of a number. New values are entered in the dictionaries, which have to have room.

    Unless values are to be entered: then the record is left incomplete at a new one, and False is returned.
    """
    cells, fields = records.cells, records.fields
    for cell in range(uint64(cells.shape[1])):
        cells[number, cell] = 0
    known = True
    for word in range(uint64(fields.shape[0])):
        index = state[word]
        if fields[word, WordRow.FIRST] != uint64(RAW):
            index = _index_of(records, word, index, enter)
            if index == uint64(MISSING):
                known = False
                break
        _put(cells, fields, number, word, index)
    return known


@njit
def room(records: Records) -> Any:
    """Return how many states may be stored, whatever their values are."""
    fields = records.fields
    least = uint64(MISSING)
    for word in range(uint64(fields.shape[0])):
        if fields[word, WordRow.FIRST] != uint64(RAW):
            least = min(least, fields[word, WordRow.ROOM] - fields[word, WordRow.COUNT])
    return least


@njit
def load_all(records: Records, first: int, states: NDArray[np.uint64]) -> None:
    """Copy as many states as there are rows, from the number `first` on."""
    for row in range(uint64(states.shape[0])):
        load(records, uint64(first) + row, states[row])


@njit
def copy_dictionaries(old: Records, new: Records) -> None:
    """Fill the empty dictionaries of `new` with those of `old`. Each value keeps its index."""
    fields = new.fields
    for word in range(uint64(fields.shape[0])):
        first, old_first = fields[word, WordRow.FIRST], old.fields[word, WordRow.FIRST]
        if first == uint64(RAW):
            continue
        for index in range(fields[word, WordRow.COUNT]):
            value = old.values[old_first + index]
            new.values[first + index] = value
            at = _first_slot(fields, word, value)
            while new.slots[fields[word, WordRow.FIRST_SLOT] + at] != 0:
                at = (at + uint64(1)) & fields[word, WordRow.SLOT_MASK]
            new.slots[fields[word, WordRow.FIRST_SLOT] + at] = index + uint64(1)


@njit
def convert(old: Records, new: Records, begin: int, end: int, indices: NDArray[np.uint64]) -> None:
    """Copy records of `old` to `new`, whose cells are not fewer and may begin at the same place.

    The last one is the first to be copied: it overwrites none that is still to be read. `indices` is scratch space.
    """
    for i in range(uint64(end - begin)):
        number = uint64(end) - uint64(1) - i
        for word in range(uint64(len(indices))):
            if new.fields[word, WordRow.FIRST] == uint64(RAW):
                indices[word] = _value(old, number, word)
            else:
                cell = uint64(old.cells[number, old.fields[word, WordRow.CELL]])
                indices[word] = (cell >> old.fields[word, WordRow.SHIFT]) & old.fields[word, WordRow.MASK]
        for cell in range(uint64(new.cells.shape[1])):
            new.cells[number, cell] = 0
        for word in range(uint64(len(indices))):
            _put(new.cells, new.fields, number, word, indices[word])
