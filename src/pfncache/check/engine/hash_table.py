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

from pfncache.check.engine.numba_cache import allocating_njit, inline_njit, njit, uint64

PENDING = 32
"""States per batch of lookups: the processor prefetches the entries of a whole batch before any is read."""
SEGMENTS = 16
"""Equal parts of the table. Probing wraps within a segment, so that threads can fill different segments."""
TAG = 0xFFFFFFFF00000000
"""Bits of an entry that hold the high half of the state's hash."""
NUMBER = 0xFFFFFFFF
"""Bits of an entry that hold the state's number + 1; 0 marks an empty entry."""
NUMBER_OF_STATE = 0x7FFFFFFF
"""The same without the mark of a state that has no number yet (parallel_bfs.UNNUMBERED)."""


class StateSpace(NamedTuple):
    """The visited states by number, in the order in which they were found, and the hash table over them."""

    states: NDArray[np.uint64]
    """By number: the words of a state."""
    parents: NDArray[np.int32]
    """By number: the state from which it was reached first; -1 for the initial state."""
    flags: NDArray[np.uint8]
    """By number: a set of StateFlag bits."""
    table: NDArray[np.uint64]
    """Entries: TAG and NUMBER bits."""
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


prefetch: Callable[[NDArray[np.uint64], Any], None] = cast(Any, intrinsic)(_prefetch)
"""Prefetch an element of an array, by its index in the flat array, into the processor's cache. No effect on results."""


@njit
def hash_of(state: NDArray[np.uint64]) -> Any:
    """Return the 64-bit hash of a state: the low bits index the table, the high half is the entry's tag."""
    h = uint64(0x9E3779B97F4A7C15)
    for i in range(uint64(len(state))):
        h = (h ^ state[i]) * uint64(0xFF51AFD7ED558CCD)
        h ^= h >> uint64(32)
    return h


@inline_njit
def prefetch_state(states: NDArray[np.uint64], table: NDArray[np.uint64], mask: Any, h: Any) -> None:
    """Prefetch the state that a lookup of hash `h` compares first, after its table entry has been prefetched."""
    entry = table[h & mask]
    if entry != uint64(0) and (entry ^ h) & uint64(TAG) == uint64(0):
        words = uint64(states.shape[1])
        row = ((entry & uint64(NUMBER_OF_STATE)) - uint64(1)) * words
        prefetch(states, row)
        prefetch(states, row + words - uint64(1))


@njit
def next_index(at: Any, mask: Any) -> Any:
    """Return the table index that linear probing tries after `at`."""
    segment = mask // uint64(SEGMENTS)
    return (at & ~segment) | ((at + uint64(1)) & segment)


@njit
def look_up(states: NDArray[np.uint64], table: NDArray[np.uint64], mask: Any, state: NDArray[np.uint64], h: Any) -> Any:
    """Return the table index at which `state` is or belongs, and its number + 1, or 0 if it is not in the table."""
    tag = h & uint64(TAG)
    at = h & mask
    while True:
        entry = table[at]
        if entry == uint64(0):
            return at, uint64(0)
        if (entry & uint64(TAG)) == tag:
            other = (entry & uint64(NUMBER)) - uint64(1)
            same = True
            for i in range(uint64(len(state))):
                if states[other, i] != state[i]:
                    same = False
                    break
            if same:
                return at, other + uint64(1)
        at = next_index(at, mask)


@njit
def insert(space: StateSpace, number: int) -> bool:
    """Enter the state of a number in the table. Returns False if an equal state is there already."""
    h = hash_of(space.states[number])
    at, known = look_up(space.states, space.table, uint64(space.mask), space.states[number], h)
    if known:
        return False
    space.table[at] = (h & uint64(TAG)) | uint64(number + 1)
    return True


@njit
def find(space: StateSpace, state: NDArray[np.uint64]) -> int:
    """Return the number of a visited state, or -1."""
    _, known = look_up(space.states, space.table, uint64(space.mask), state, hash_of(state))
    return int(known) - 1


@inline_njit
def _insert_new(table: NDArray[np.uint64], mask: Any, h: Any, number: Any) -> None:
    """Enter a state that is known not to be in the table."""
    at = h & mask
    while table[at] != uint64(0):
        at = next_index(at, mask)
    table[at] = (h & uint64(TAG)) | (uint64(number) + uint64(1))


@allocating_njit
def rehash(space: StateSpace, count: int, part: int, parts: int) -> None:
    """Enter those of the first `count` states that belong into one of `parts` parts of an empty table."""
    states, table, mask = space.states, space.table, uint64(space.mask)
    segment = (mask + uint64(1)) // uint64(SEGMENTS)
    hashes = np.empty(PENDING, dtype=np.uint64)  # a ring of states whose entries are being prefetched
    numbers = np.empty(PENDING, dtype=np.uint64)
    prefetched = 0
    for number in range(uint64(count)):
        h = hash_of(states[number])
        if ((h & mask) // segment) % uint64(parts) != uint64(part):
            continue
        slot = uint64(prefetched % PENDING)
        if prefetched >= PENDING:
            _insert_new(table, mask, hashes[slot], numbers[slot])
        hashes[slot] = h
        numbers[slot] = number
        prefetch(table, h & mask)
        prefetched += 1
    for i in range(min(prefetched, PENDING)):
        _insert_new(table, mask, hashes[uint64(i)], numbers[uint64(i)])
