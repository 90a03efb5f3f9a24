# SPDX-License-Identifier: GPL-2.0-only
"""One search on several cores: threads share the work of a level, and no level begins before the one above is done.

A round takes a part of a level. First each thread expands its share of the states, and puts what the table does not
have yet into a box of its own; then each enters what belongs into its segments of the table, unless it is the same as
another of the round; when it is known how many states are new, each writes its own into their places. The states, the
table and their order by level are those of a search on one core, which may go on at any point: the first violation is
still one with the fewest steps.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from pfncache.check.engine.bfs import (
    CTL_ACTOR,
    CTL_CHOICE,
    CTL_DETAIL,
    CTL_LEVEL,
    CTL_LIMIT,
    CTL_NEXT,
    CTL_PAUSE,
    CTL_SIZE,
    CTL_STATE,
    CTL_STATES,
    CTL_TERMINAL,
    CTL_TRANSITIONS,
    CTL_VERDICT,
    DONE,
    FULL,
    ONWARD,
    PAUSED,
    successors,
)
from pfncache.check.engine.hash_table import PENDING, SEGMENTS, after_place, expect, look_up, prefetch
from pfncache.check.engine.interpreter import OUT_SIZE
from pfncache.check.program.image import FANOUT, WORDS
from pfncache.check.program.layout import Program

SHARE = 16384
"""States that a thread expands in a round, at most."""
WORTHWHILE = 4096
"""States of a level that are worth a round."""
AHEAD = 16
"""Entries between asking for a place of the table and looking at it."""
FRESH = 1 << 31
"""Marks an entry of the table whose state is still in a box; the number is then that of the owner's list."""


@njit(cache=True, nogil=True)
def _expand(
    image: Any,
    states: Any,
    onward: Any,
    table: Any,
    mask: int,
    level: int,
    box: Any,
    hashes: Any,
    origins: Any,
    shares: Any,
    counts: Any,
    begin: int,
    end: int,
    registers: Any,
    out: Any,
    cover: Any,
    ctl: Any,
) -> None:
    """Put the successors of the states from `begin` to `end` that nobody knows into the box, by owner in `shares`."""
    umask = uint64(mask)
    words = image[WORDS]
    size = PENDING + image[FANOUT]
    pending = np.empty((size, words), dtype=np.uint64)
    own_hashes = np.empty(size, dtype=np.uint64)
    own_origins = np.empty(size, dtype=np.int32)
    segment = (umask + uint64(1)) // uint64(SEGMENTS)
    ctl[:] = 0
    counts[:] = 0
    waiting = found = 0
    number = begin
    while True:
        if waiting >= PENDING or number == end:
            for i in range(uint64(waiting)):
                expect(states, table, umask, own_hashes[i], words)
            for i in range(uint64(waiting)):
                h = own_hashes[i]
                _, known = look_up(states, table, umask, pending[i], h, words)
                if known > uint64(level):
                    onward[own_origins[i]] |= ONWARD
                if known:
                    continue
                for k in range(uint64(words)):
                    box[found, k] = pending[i, k]
                hashes[found] = h
                origins[found] = own_origins[i]
                owner = ((h & umask) // segment) % uint64(counts.shape[0])
                shares[owner, uint64(counts[owner])] = found
                counts[owner] += 1
                found += 1
            waiting = 0
            if number == end:
                break
        waiting = successors(
            image, states, onward, table, umask, pending, own_hashes, own_origins, waiting, number, False,
            registers, out, cover, ctl,
        )  # fmt: skip
        if ctl[CTL_VERDICT] != DONE:
            break
        number += 1


@njit(cache=True, nogil=True)
def _enter(
    states: Any,
    onward: Any,
    table: Any,
    mask: int,
    boxes: Any,
    hashes: Any,
    origins: Any,
    shares: Any,
    counts: Any,
    level: int,
    owner: int,
    fresh: Any,
    places: Any,
) -> int:
    """Enter what is in the boxes and belongs into the owner's segments, unless known. Returns how many are new."""
    words = uint64(boxes.shape[2])
    size = uint64(boxes.shape[1])
    umask = uint64(mask)
    number = uint64(0xFFFFFFFF)
    new = 0
    for box in range(counts.shape[0]):
        count = counts[box, owner]
        for n in range(count):
            if n + AHEAD < count:
                prefetch(table, hashes[box, uint64(shares[box, owner, uint64(n + AHEAD)])] & umask)  # type: ignore[call-arg]
            if n + AHEAD // 2 < count:
                expect(states, table, umask, hashes[box, uint64(shares[box, owner, uint64(n + AHEAD // 2)])], words)
            i = uint64(shares[box, owner, uint64(n)])
            h = hashes[box, i]
            at = h & umask
            tag = h & ~number
            while True:
                entry = table[at]
                if entry == uint64(0):
                    fresh[new] = uint64(box) * size + i
                    places[new] = at
                    table[at] = tag | uint64(FRESH) | uint64(new)
                    new += 1
                    onward[origins[box, i]] |= ONWARD
                    break
                if entry & ~number == tag:
                    low = entry & number
                    same = True
                    if low & uint64(FRESH):
                        other = fresh[low & uint64(FRESH - 1)]
                        for k in range(words):
                            if boxes[other // size, other % size, k] != boxes[box, i, k]:
                                same = False
                                break
                    else:
                        for k in range(words):
                            if states[low - uint64(1), k] != boxes[box, i, k]:
                                same = False
                                break
                    if same:
                        if low > uint64(level):  # a fresh one is marked by a high bit, and so is its number
                            onward[origins[box, i]] |= ONWARD
                        break
                at = after_place(at, umask)
    return new


@njit(cache=True, nogil=True)
def _settle(
    states: Any, parents: Any, table: Any, boxes: Any, origins: Any, fresh: Any, places: Any, new: int, first: int
) -> None:
    """Give the owner's new states their numbers, from `first` on."""
    words = uint64(boxes.shape[2])
    size = uint64(boxes.shape[1])
    for n in range(uint64(new)):
        if n + uint64(AHEAD) < uint64(new):
            prefetch(table, places[n + uint64(AHEAD)])  # type: ignore[call-arg]
        box, i = fresh[n] // size, fresh[n] % size
        number = uint64(first) + n
        for k in range(words):
            states[number, k] = boxes[box, i, k]
        parents[number] = origins[box, i]
        table[places[n]] = (table[places[n]] & uint64(0xFFFFFFFF00000000)) | (number + uint64(1))


class Crew:
    """The threads of a search, and what each needs for itself."""

    def __init__(self, program: Program, threads: int, registers: NDArray[np.int64], acquisitions: int) -> None:
        self.program = program
        self.threads = threads
        words, size = program.words, SHARE * int(program.image[FANOUT]) if threads > 1 else 0
        self.room = threads * size
        """New states that a round may find."""
        self.boxes = np.empty((threads, size, words), dtype=np.uint64)
        self.hashes = np.empty((threads, size), dtype=np.uint64)
        self.origins = np.empty((threads, size), dtype=np.int32)
        self.shares = np.empty((threads, threads, size), dtype=np.uint32)
        self.counts = np.zeros((threads, threads), dtype=np.int64)
        self.fresh = np.empty((threads, self.room), dtype=np.uint64)
        self.places = np.empty((threads, self.room), dtype=np.uint64)
        self.registers = [registers.copy() for _ in range(threads)]
        self.outs = [np.zeros(OUT_SIZE, dtype=np.int64) for _ in range(threads)]
        self.covers = np.zeros((threads, acquisitions), dtype=np.uint8)
        self.ctls = np.zeros((threads, CTL_SIZE), dtype=np.int64)
        self.pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()

    def is_for(self, ctl: NDArray[np.int64], most: int) -> bool:
        """Whether there are several, a round pays, and what it may find has room among `most` states."""
        fits = self.threads > 1 and ctl[CTL_STATES] + self.room <= most
        return bool(fits and ctl[CTL_LEVEL] - ctl[CTL_NEXT] >= WORTHWHILE)

    def each(self, do: Callable[[int], int | None]) -> list[int | None]:
        """Call `do` with the number of each thread, at the same time."""
        return list((self.pool.map if self.threads > 1 else map)(do, range(self.threads)))

    def explore(self, states: Any, parents: Any, onward: Any, table: Any, mask: int, ctl: NDArray[np.int64]) -> int:
        """What engine.explore() does, until the level is done or what is left of it is not worth a round."""
        while ctl[CTL_LEVEL] - ctl[CTL_NEXT] >= WORTHWHILE:
            if ctl[CTL_STATES] + self.room > ctl[CTL_LIMIT]:
                return FULL
            if ctl[CTL_NEXT] >= ctl[CTL_PAUSE]:
                return PAUSED
            verdict = self._round(states, parents, onward, table, mask, ctl)
            if verdict != DONE:
                return verdict
        return PAUSED

    def _round(self, states: Any, parents: Any, onward: Any, table: Any, mask: int, ctl: NDArray[np.int64]) -> int:
        begin, level = int(ctl[CTL_NEXT]), int(ctl[CTL_LEVEL])
        share = min(SHARE, -(-(level - begin) // self.threads))
        boxes, hashes, origins = self.boxes, self.hashes, self.origins

        def expand(t: int) -> None:
            first = min(level, begin + t * share)
            _expand(
                self.program.image, states, onward, table, mask, level, boxes[t], hashes[t], origins[t],
                self.shares[t], self.counts[t], first, min(level, first + share),
                self.registers[t], self.outs[t], self.covers[t], self.ctls[t],
            )  # fmt: skip

        def enter(t: int) -> int:
            return int(
                _enter(
                    states, onward, table, mask, boxes, hashes, origins, self.shares, self.counts, level, t,
                    self.fresh[t], self.places[t],
                )
            )  # fmt: skip

        def settle(t: int) -> None:
            _settle(
                states, parents, table, boxes, origins, self.fresh[t], self.places[t], new[t], first_of[t]
            )  # fmt: skip

        self.each(expand)
        for own in self.ctls:
            ctl[CTL_TRANSITIONS] += own[CTL_TRANSITIONS]
            ctl[CTL_TERMINAL] += own[CTL_TERMINAL]
            if own[CTL_VERDICT] != DONE:  # threads are in the order of their states
                for item in (CTL_STATE, CTL_ACTOR, CTL_CHOICE, CTL_DETAIL, CTL_VERDICT):
                    ctl[item] = own[item]
                return int(own[CTL_VERDICT])
        new = [count or 0 for count in self.each(enter)]
        count = int(ctl[CTL_STATES])
        first_of = [count + sum(new[:t]) for t in range(self.threads)]
        self.each(settle)
        ctl[CTL_STATES] = count + sum(new)
        ctl[CTL_NEXT] = min(level, begin + self.threads * share)
        return DONE
