# SPDX-License-Identifier: GPL-2.0-only
"""The hash table of visited states, native through Numba: open addressing, linear probing, whole states compared."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from pfncache.check.engine.collapse import Records, equals, load
from pfncache.check.engine.numba_cache import allocating_njit, inline_njit, njit, uint64

PENDING = 32
"""States per batch of lookups: the processor prefetches the entries of a whole batch before any is read."""
SEGMENTS = 16
"""Equal parts of the table. Probing wraps within a segment, so that threads can fill different segments."""
TAG_SHIFT = 56
"""The highest bits of a hash are the tag of its table entry."""
EMPTY = 0
"""The tag of an entry that has no state. A state's tag is at least 1."""
UNNUMBERED = 1 << 31
"""Marks a table entry whose state has no number yet (parallel_bfs)."""


class StateSpace(NamedTuple):
    """The visited states by number, in the order in which they were found, and the hash table over them."""

    records: Records
    """By number: the states, compressed."""
    parents: NDArray[np.int32]
    """By number: the state from which it was reached first; -1 for the initial state."""
    flags: NDArray[np.uint8]
    """By number: a set of StateFlag bits."""
    tags: NDArray[np.uint8]
    """By table index: the tag of the state's hash; EMPTY for none. Tags of equal states are equal, few others are."""
    numbers: NDArray[np.uint32]
    """By table index: the state's number + 1. It means nothing beside an empty tag."""
    mask: int
    """Mask that maps a hash to a table index."""


class StateFlag(IntEnum):
    """Bits that the search notes for a state."""

    ONWARD = 1
    """The state is terminal, or one of its transitions leads to a later BFS layer."""
    PARTIAL = 2
    """Only the transitions of a persistent set were taken."""


def _prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Return the types and the code generator of prefetch()."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        declare: Any = cgutils.get_or_insert_function
        function = declare(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


prefetch: Callable[[NDArray[Any], Any], None] = cast(Any, intrinsic)(_prefetch)
"""Prefetch an element of an array, by its index in the flat array, into the processor's cache. No effect on results."""


@njit
def hash_of(state: NDArray[np.uint64]) -> Any:
    """Return the 64-bit hash of a state: the low bits index the table, the high ones are the entry's tag."""
    h = uint64(0x9E3779B97F4A7C15)
    for i in range(uint64(len(state))):
        h = (h ^ state[i]) * uint64(0xFF51AFD7ED558CCD)
        h ^= h >> uint64(32)
    return h


@inline_njit
def tag_of(h: Any) -> Any:
    """Return the tag of a state's hash."""
    return max(h >> uint64(TAG_SHIFT), uint64(1))


@inline_njit
def prefetch_state(space: StateSpace, h: Any) -> None:
    """Prefetch the state that a lookup of hash `h` compares first, after its table entry has been prefetched."""
    tags, numbers, cells, mask = space.tags, space.numbers, space.records.cells, uint64(space.mask)
    tag = tag_of(h)
    at = h & mask
    while tags[at] != EMPTY and tags[at] != tag:
        at = next_index(at, mask)
    number = uint64(numbers[at])
    if tags[at] != EMPTY and number < uint64(UNNUMBERED):
        width = uint64(cells.shape[1])
        prefetch(cells, (number - uint64(1)) * width)
        prefetch(cells, number * width - uint64(1))


@inline_njit
def next_index(at: Any, mask: Any) -> Any:
    """Return the table index that linear probing tries after `at`."""
    segment = mask // uint64(SEGMENTS)
    return (at & ~segment) | ((at + uint64(1)) & segment)


@inline_njit
def look_up(space: StateSpace, state: NDArray[np.uint64], h: Any) -> Any:
    """Return the table index at which `state` is or belongs, and its number + 1, or 0 if it is not in the table."""
    records, tags, numbers, mask = space.records, space.tags, space.numbers, uint64(space.mask)
    tag = tag_of(h)
    at = h & mask
    known = uint64(0)
    while tags[at] != EMPTY:
        if tags[at] == tag and equals(records, uint64(numbers[at]) - uint64(1), state):
            known = uint64(numbers[at])
            break
        at = next_index(at, mask)
    return at, known


@inline_njit
def enter(tags: NDArray[np.uint8], numbers: NDArray[np.uint32], at: Any, h: Any, number: Any) -> None:
    """Make the entry at an index of the table that of a state's number."""
    tags[at] = tag_of(h)
    numbers[at] = uint64(number) + uint64(1)


@allocating_njit
def insert(space: StateSpace, number: int) -> bool:
    """Enter the state of a number in the table. Returns False if an equal state is there already."""
    state = np.empty(space.records.fields.shape[0], dtype=np.uint64)
    load(space.records, uint64(number), state)
    h = hash_of(state)
    at, known = look_up(space, state, h)
    if known:
        return False
    enter(space.tags, space.numbers, at, h, number)
    return True


@njit
def find(space: StateSpace, state: NDArray[np.uint64]) -> int:
    """Return the number of a visited state, or -1."""
    _, known = look_up(space, state, hash_of(state))
    return int(known) - 1


@inline_njit
def _insert_new(tags: NDArray[np.uint8], numbers: NDArray[np.uint32], mask: Any, h: Any, number: Any) -> None:
    """Enter a state that is known not to be in the table."""
    at = h & mask
    while tags[at] != EMPTY:
        at = next_index(at, mask)
    enter(tags, numbers, at, h, number)


@njit
def hash_all(records: Records, first: int, state: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> None:
    """Set `hashes` to those of as many states, from the number `first` on. `state` is scratch space for one."""
    for i in range(uint64(len(hashes))):
        load(records, uint64(first) + i, state)
        hashes[i] = hash_of(state)


@njit
def rehash(space: StateSpace, hashes: NDArray[np.uint64], first: int, part: int, parts: int) -> None:
    """Enter those of the states from number `first` on that belong into one of `parts` parts of the table.

    None of them is in it; `hashes` are theirs.
    """
    tags, numbers, mask = space.tags, space.numbers, uint64(space.mask)
    segment = (mask + uint64(1)) // uint64(SEGMENTS)
    count = uint64(len(hashes))
    for i in range(count + uint64(PENDING)):
        if i < count:
            ahead = hashes[i] & mask
            if (ahead // segment) % uint64(parts) == uint64(part):
                prefetch(tags, ahead)
                prefetch(numbers, ahead)
        if i >= uint64(PENDING):
            h = hashes[i - uint64(PENDING)]
            if ((h & mask) // segment) % uint64(parts) == uint64(part):
                _insert_new(tags, numbers, mask, h, uint64(first) + i - uint64(PENDING))
