# SPDX-License-Identifier: GPL-2.0-only
"""The table by which visited states are found, native through Numba: open addressing, whole states compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

import pfncache.check.engine.numba_cache  # noqa: F401 - says where the native code of all functions below is kept

PENDING = 32
"""States that wait for their place in the table."""
SEGMENTS = 16
"""Of the table: a search for a place does not leave its segment, so that threads can fill different ones."""


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask the processor to bring array[index] near. Changes nothing but time."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


@njit(cache=True, nogil=True)
def hash_of(state: Any, words: int) -> Any:
    """64 bits that stand for a state: the low ones for its place in the table, the high ones to tell it apart."""
    h = uint64(0x9E3779B97F4A7C15)
    for i in range(uint64(words)):
        h = (h ^ state[i]) * uint64(0xFF51AFD7ED558CCD)
        h ^= h >> uint64(32)
    return h


@njit(cache=True, nogil=True, inline="always")
def expect(states: Any, table: Any, mask: Any, h: Any, words: Any) -> None:
    """Ask for the state that a hash will most likely be compared with, now that its place in the table is near."""
    entry = table[h & mask]
    if entry != uint64(0) and (entry ^ h) >> uint64(32) == uint64(0):
        row = ((entry & uint64(0x7FFFFFFF)) - uint64(1)) * uint64(words)
        prefetch(states, row)  # type: ignore[call-arg]
        prefetch(states, row + uint64(words) - uint64(1))


@njit(cache=True, nogil=True)
def after_place(at: Any, mask: Any) -> Any:
    """The place of the table that is tried after `at`."""
    segment = mask // uint64(SEGMENTS)
    return (at & ~segment) | ((at + uint64(1)) & segment)


@njit(cache=True, nogil=True)
def look_up(states: Any, table: Any, mask: Any, state: Any, h: Any, words: int) -> Any:
    """Where `state` is, or would be, in the table: (place in the table, number + 1 or 0)."""
    tag = h & uint64(0xFFFFFFFF00000000)
    at = h & mask
    while True:
        entry = table[at]
        if entry == uint64(0):
            return at, uint64(0)
        if (entry & uint64(0xFFFFFFFF00000000)) == tag:
            other = (entry & uint64(0xFFFFFFFF)) - uint64(1)
            same = True
            for i in range(uint64(words)):
                if states[other, i] != state[i]:
                    same = False
                    break
            if same:
                return at, other + uint64(1)
        at = after_place(at, mask)


@njit(cache=True, nogil=True)
def insert(states: Any, table: Any, mask: int, count: int, words: int) -> bool:
    """Enter states[count] in the table unless it is there. The table holds number + 1 and 32 bits of the hash."""
    h = hash_of(states[count], words)
    at, known = look_up(states, table, uint64(mask), states[count], h, words)
    if known:
        return False
    table[at] = (h & uint64(0xFFFFFFFF00000000)) | uint64(count + 1)
    return True


@njit(cache=True, nogil=True)
def find(states: Any, table: Any, mask: int, state: Any, words: int) -> int:
    """The number of a visited state, or -1."""
    _, known = look_up(states, table, uint64(mask), state, hash_of(state, words), words)
    return int(known) - 1


@njit(cache=True, nogil=True, inline="always")
def _settle(table: Any, mask: Any, h: Any, number: Any) -> None:
    """Enter a state that is known to be new."""
    at = h & mask
    while table[at] != uint64(0):
        at = after_place(at, mask)
    table[at] = (h & uint64(0xFFFFFFFF00000000)) | (uint64(number) + uint64(1))


@njit(cache=True, nogil=True)
def rehash(states: Any, table: Any, mask: int, count: int, words: int, part: int, parts: int) -> None:
    """Fill the segments of one of the parts of an empty table with those of the first `count` states that go there."""
    umask = uint64(mask)
    segment = (umask + uint64(1)) // uint64(SEGMENTS)
    hashes = np.empty(PENDING, dtype=np.uint64)  # while the processor fetches their places
    numbers = np.empty(PENDING, dtype=np.uint64)
    asked = 0
    for number in range(uint64(count)):
        h = hash_of(states[number], words)
        if ((h & umask) // segment) % uint64(parts) != uint64(part):
            continue
        slot = uint64(asked % PENDING)
        if asked >= PENDING:
            _settle(table, umask, hashes[slot], numbers[slot])
        hashes[slot] = h
        numbers[slot] = number
        prefetch(table, h & umask)  # type: ignore[call-arg]
        asked += 1
    for i in range(min(asked, PENDING)):
        _settle(table, umask, hashes[uint64(i)], numbers[uint64(i)])
