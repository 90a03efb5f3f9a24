# SPDX-License-Identifier: GPL-2.0-only
"""Breadth-first search on several threads, which share the work of a BFS layer; layers are barriers.

A round takes a part of a layer, in three phases with a barrier after each:

1. Expand: each thread expands its span of states, and puts the successors that are not in the table into its box.
2. Insert: each thread enters into its own segments of the table what belongs there, from all boxes, without equal ones.
3. Number: the count of new states gives each thread its range of numbers, and it stores its new states there. Those
   with a value that the dictionaries do not have yet, which are few, are stored by one thread at the end.

The set of states of each layer is that of a search on one thread, which may continue at any point: the first violation
of a kind is still one with the fewest steps.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.bfs import (
    APART_BYTES,
    Batch,
    Control,
    SearchWorker,
    Span,
    StopReason,
    expand,
    new_batch,
    new_worker,
)
from pfncache.check.engine.collapse import equals, room, store
from pfncache.check.engine.hash_table import (
    EMPTY,
    PENDING,
    SEGMENTS,
    UNNUMBERED,
    StateFlag,
    StateSpace,
    look_up,
    next_index,
    prefetch,
    prefetch_state,
    tag_of,
)
from pfncache.check.engine.numba_cache import allocating_njit, njit, uint64
from pfncache.check.engine.violations import merge, new_violations
from pfncache.check.engine.visited import Visited
from pfncache.check.program.image import FANOUT
from pfncache.check.program.layout import Program

SHARE = 16384
"""States that a thread expands in a round, at most."""
MIN_ROUND = 4096
"""States of a layer for which a round is faster than one thread, at least."""
AHEAD = 16
"""States between the prefetch of a table entry and its use."""


class Boxes(NamedTuple):
    """Successors that the threads found in a round. Each array has a thread's box by the number of the thread."""

    states: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    origins: NDArray[np.int32]
    shares: NDArray[np.uint32]
    """By thread that owns the segment: indices of the states in the box that belong there."""
    counts: NDArray[np.int64]
    """By thread that owns the segment: how many those are. Rows are longer, so that threads share no cache line."""


class NewStates(NamedTuple):
    """States that a thread entered in its segments in a round."""

    sources: NDArray[np.uint64]
    """Index in the boxes, counted through all of them."""
    entries: NDArray[np.uint64]
    """Index in the table."""
    unknown: NDArray[np.uint64]
    """Which of the states have a value that is in no dictionary yet."""


@njit
def _fill(space: StateSpace, batch: Batch, waiting: int, box: Boxes, layer_end: int) -> None:
    """Put those of the waiting states that are not in the table into the thread's box."""
    flags, mask = space.flags, uint64(space.mask)
    pending, hashes, origins = batch.states, batch.hashes, batch.origins
    states, shares, counts = box.states, box.shares, box.counts
    segment = (mask + uint64(1)) // uint64(SEGMENTS)
    found = uint64(0)
    owners = uint64(len(shares))
    for owner in range(owners):
        found += uint64(counts[owner])
    for i in range(uint64(waiting)):
        prefetch_state(space, hashes[i])
    for i in range(uint64(waiting)):
        h = hashes[i]
        _, known = look_up(space, pending[i], h)
        if known > uint64(layer_end):
            flags[origins[i]] |= StateFlag.ONWARD
        if known:
            continue
        for k in range(uint64(pending.shape[1])):
            states[found, k] = pending[i, k]
        box.hashes[found] = h
        box.origins[found] = origins[i]
        owner = ((h & mask) // segment) % owners
        shares[owner, uint64(counts[owner])] = found
        counts[owner] += 1
        found += uint64(1)


@allocating_njit
def _expand(space: StateSpace, worker: SearchWorker, box: Boxes, span: Span, layer_end: int) -> None:
    """Put the successors of the states of the span that are not in the table into the thread's box."""
    batch = new_batch(worker.image)
    worker.control[:] = 0
    worker.violations.counts[:] = 0
    box.counts[:] = 0
    waiting = 0
    number = span.begin
    while True:
        if waiting >= PENDING or number == span.end:
            _fill(space, batch, waiting, box, layer_end)
            waiting = 0
            if number == span.end:
                break
        waiting, number = expand(space, worker, batch, waiting, Span(number, span.end, False))
        if worker.control[Control.STOP] != StopReason.DONE:
            break


@njit
def _insert(space: StateSpace, boxes: Boxes, new: NewStates, owner: int, layer_end: int) -> int:
    """Enter what the boxes have for the owner's segments, unless it is known. Returns the number of new states.

    An origin is marked when a successor of it is in a later layer; a new state is.
    """
    flags, tags, numbers, mask = space.flags, space.tags, space.numbers, uint64(space.mask)
    found, hashes, origins, shares, counts = boxes
    sources, entries = new.sources, new.entries
    words, size = uint64(found.shape[2]), uint64(found.shape[1])
    added = 0
    for box in range(counts.shape[0]):
        count = counts[box, owner]
        for n in range(count):
            if n + AHEAD < count:
                ahead = hashes[box, uint64(shares[box, owner, uint64(n + AHEAD)])] & mask
                prefetch(tags, ahead)
                prefetch(numbers, ahead)
            if n + AHEAD // 2 < count:
                prefetch_state(space, hashes[box, uint64(shares[box, owner, uint64(n + AHEAD // 2)])])
            i = uint64(shares[box, owner, uint64(n)])
            h = hashes[box, i]
            at = h & mask
            tag = tag_of(h)
            while True:
                if tags[at] == EMPTY:
                    sources[added] = uint64(box) * size + i
                    entries[added] = at
                    tags[at] = tag
                    numbers[at] = uint64(UNNUMBERED) | uint64(added)
                    added += 1
                    flags[origins[box, i]] |= StateFlag.ONWARD
                    break
                if tags[at] == tag:
                    number = uint64(numbers[at])
                    if number & uint64(UNNUMBERED):
                        other = sources[number & uint64(UNNUMBERED - 1)]
                        same = True
                        for k in range(words):
                            if found[other // size, other % size, k] != found[box, i, k]:
                                same = False
                                break
                    else:
                        same = equals(space.records, number - uint64(1), found[box, i])
                    if same:
                        if number > uint64(layer_end):  # true of UNNUMBERED, a high bit, too
                            flags[origins[box, i]] |= StateFlag.ONWARD
                        break
                at = next_index(at, mask)
    return added


@njit
def _number(space: StateSpace, boxes: Boxes, new: NewStates, count: int, first: int) -> int:
    """Store the owner's `count` new states in the space, numbered from `first` on, and number their table entries.

    Returns how many are not stored, as they have a value that is in no dictionary.
    """
    parents, numbers = space.parents, space.numbers
    found, origins = boxes.states, boxes.origins
    sources, entries = new.sources, new.entries
    size = uint64(found.shape[1])
    unknown = 0
    for n in range(uint64(count)):
        if n + uint64(AHEAD) < uint64(count):
            prefetch(numbers, entries[n + uint64(AHEAD)])
        box, i = sources[n] // size, sources[n] % size
        number = uint64(first) + n
        if not store(space.records, number, found[box, i], False):
            new.unknown[unknown] = n
            unknown += 1
        parents[number] = origins[box, i]
        numbers[entries[n]] = number + uint64(1)
    return unknown


@njit
def _store_unknown(space: StateSpace, boxes: Boxes, new: NewStates, done: int, unknown: int, first: int) -> int:
    """Store those of the owner's new states that _number() has not, from number `done` of these on.

    Returns how many are stored: not all, if a dictionary is full.
    """
    found = boxes.states
    size = uint64(found.shape[1])
    for k in range(done, unknown):
        if room(space.records) == uint64(0):
            return int(k)
        n = new.unknown[uint64(k)]
        source = new.sources[n]
        store(space.records, uint64(first) + n, found[source // size, source % size], True)
    return unknown


class WorkerPool:
    """The threads of a search, with a worker each."""

    def __init__(self, program: Program, threads: int, like: SearchWorker) -> None:
        self.program = program
        self.threads = threads
        self.violations = like.violations
        """Those that the whole search has met."""
        words, size = program.words, SHARE * int(program.image[FANOUT]) if threads > 1 else 0
        self.room = threads * size
        """New states that a round may find."""
        self.boxes = Boxes(
            states=np.empty((threads, size, words), dtype=np.uint64),
            hashes=np.empty((threads, size), dtype=np.uint64),
            origins=np.empty((threads, size), dtype=np.int32),
            shares=np.empty((threads, threads, size), dtype=np.uint32),
            counts=np.zeros((threads, max(threads, APART_BYTES // 8)), dtype=np.int64),
        )
        self.box_of = [Boxes(*(array[t] for array in self.boxes)) for t in range(threads)]
        """Each thread's part of the boxes."""
        self.new = [
            NewStates(*(np.empty(self.room, dtype=np.uint64) for _ in NewStates._fields)) for _ in range(threads)
        ]
        self.workers = [new_worker(like, new_violations(like.violations.functions, words)) for _ in range(threads)]
        self.executor = ThreadPoolExecutor(threads)

    @property
    def cover(self) -> NDArray[np.uint8]:
        """What the threads have marked, as SearchWorker.cover."""
        marked: NDArray[np.uint8] = np.maximum.reduce([worker.cover for worker in self.workers])
        return marked

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.executor.shutdown()

    def pays(self, control: NDArray[np.int64], most: int) -> bool:
        """Whether a round is faster than one thread, and the states that it may find fit among `most`."""
        fits = self.threads > 1 and control[Control.STATES] + self.room <= most
        return bool(fits and control[Control.LAYER_END] - control[Control.NEXT] >= MIN_ROUND)

    def each(self, do: Callable[[int], int | None]) -> list[int | None]:
        """Call `do` with the number of each thread, on all threads in parallel."""
        return list((self.executor.map if self.threads > 1 else map)(do, range(self.threads)))

    def explore(self, visited: Visited, control: NDArray[np.int64]) -> int:
        """As bfs.explore(), until the layer is done or the rest of it is not worth a round: a StopReason."""
        while control[Control.LAYER_END] - control[Control.NEXT] >= MIN_ROUND:
            if control[Control.STATES] + self.room > min(control[Control.LIMIT], visited.limit):
                return StopReason.FULL
            if control[Control.NEXT] >= control[Control.PAUSE]:
                return StopReason.PAUSED
            stop = self._round(visited, control)
            if stop != StopReason.DONE:
                return stop
        return StopReason.PAUSED

    def _round(self, visited: Visited, control: NDArray[np.int64]) -> int:
        space = visited.space
        begin, layer_end = int(control[Control.NEXT]), int(control[Control.LAYER_END])
        share = min(SHARE, -(-(layer_end - begin) // self.threads))

        def expand(t: int) -> None:
            first = min(layer_end, begin + t * share)
            span = Span(begin=first, end=min(layer_end, first + share), full=False)
            _expand(space, self.workers[t], self.box_of[t], span, layer_end)

        def insert(t: int) -> int:
            return int(_insert(space, self.boxes, self.new[t], t, layer_end))

        def number(t: int) -> int:
            return int(_number(space, self.boxes, self.new[t], added[t], first_of[t]))

        self.each(expand)
        for worker in self.workers:
            own = worker.control
            control[Control.TRANSITIONS] += own[Control.TRANSITIONS]
            control[Control.TERMINAL] += own[Control.TERMINAL]
            if own[Control.STOP] != StopReason.DONE:
                return int(own[Control.STOP])
            # threads are in the order of their states, so that what is met in the first of these is kept
            if merge(space, self.program.image, self.violations, worker.violations):
                return StopReason.ENOUGH
        added = [count or 0 for count in self.each(insert)]
        count = int(control[Control.STATES])
        first_of = [count + sum(added[:t]) for t in range(self.threads)]
        unknown = [few or 0 for few in self.each(number)]
        for t in range(self.threads):
            done = 0
            while done < unknown[t]:
                done = _store_unknown(visited.space, self.boxes, self.new[t], done, unknown[t], first_of[t])
                if done < unknown[t]:
                    visited.widen(count + sum(added), 0, self.each, self.threads)
        control[Control.STATES] = count + sum(added)
        control[Control.NEXT] = min(layer_end, begin + self.threads * share)
        return StopReason.DONE
