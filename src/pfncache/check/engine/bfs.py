# SPDX-License-Identifier: GPL-2.0-only
"""Breadth-first search over the exact set of visited states, native through Numba."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.collapse import load, room, store
from pfncache.check.engine.hash_table import (
    PENDING,
    StateFlag,
    StateSpace,
    enter,
    hash_of,
    look_up,
    prefetch,
    prefetch_state,
)
from pfncache.check.engine.interpreter import (
    BLOCKED,
    NO_ACTOR,
    OUT_CHOICES,
    STEPPED,
    SYMMETRIC,
    counter_of,
    may_run,
    new_out,
    step,
)  # fmt: skip
from pfncache.check.engine.native.take import take
from pfncache.check.engine.numba_cache import allocating_njit, inline_njit, int64, njit, uint64
from pfncache.check.engine.persistent_sets import clear_dead_after, persistent, stand
from pfncache.check.engine.violations import Taken, Violations, halt, record
from pfncache.check.program.image import AT_END, COUNTER_END, COUNTER_HALTED, FANOUT, MASKS, N_ACTORS, WORDS

Scalar = TypeVar("Scalar", bound=np.generic)
APART_BYTES = 128
"""Bytes between what two threads write: a cache line, and the one that the processor fetches with it."""


class StopReason(IntEnum):
    """Why explore() returned."""

    DONE = 0
    """Every reachable state was expanded."""
    ENOUGH = 1
    """As many kinds of violations as are wanted were met."""
    FULL = 2
    """The space has no room for the next batch of states, or for their values."""
    PAUSED = 3
    """Control.PAUSE states were expanded."""


class Control(IntEnum):
    """Indices of the control block of a search: its limits, its position, and what it found."""

    STATES = 0
    """States in the space."""
    NEXT = 1
    """The next state to expand: states are numbered in the order of the search."""
    LIMIT = 2
    """States that the space may hold before explore() returns FULL."""
    PAUSE = 3
    """The state before which explore() returns PAUSED."""
    TRANSITIONS = 4
    """Transitions taken."""
    TERMINAL = 5
    """States in which every actor has ended."""
    LAYER_END = 6
    """The first state of the next BFS layer."""
    RESCAN = 7
    """The first state of this layer that is not yet checked against the cycle proviso."""
    STOP = 8
    """The StopReason."""


class SearchWorker(NamedTuple):
    """What one thread of a search runs on: the program, and memory of its own."""

    image: NDArray[np.int64]
    """The program."""
    registers: NDArray[np.int64]
    """Those of step(), in which the constants are loaded."""
    out: NDArray[np.int64]
    """Results of interpreter.step()."""
    state: NDArray[np.uint64]
    """The state that is expanded."""
    after: NDArray[np.uint64]
    """Scratch space for a state that is looked at only."""
    places: NDArray[np.int64]
    """Scratch space for persistent_sets.stand(), by actor."""
    cover: NDArray[np.uint8]
    """By number of a target, then of a line, then of a lock acquisition: not 0 if it was reached, or executed."""
    control: NDArray[np.int64]
    """By Control."""
    violations: Violations
    native: NDArray[np.uint64]
    """By place, a row of the image's YIELDS: the address of its native code; 0 where the interpreter takes the step."""


class Batch(NamedTuple):
    """Successors whose table entries are being prefetched."""

    states: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    origins: NDArray[np.int32]
    """The state of which each is a successor."""


class Span(NamedTuple):
    """States to expand, by number."""

    begin: int
    end: int
    full: bool
    """Whether to take the transitions of all actors, not only those of a persistent set."""


def _apart(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a copy of an array that shares no cache line with another one: there is no false sharing by threads."""
    room = np.zeros(array.nbytes + 2 * APART_BYTES, dtype=np.uint8)
    copy = room[APART_BYTES : APART_BYTES + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def new_worker(like: SearchWorker, violations: Violations) -> SearchWorker:
    """Return another worker of the same search, with registers and results of its own, for another thread."""
    return like._replace(
        registers=_apart(like.registers), out=_apart(new_out(like.image)), state=_apart(like.state),
        after=_apart(like.after), places=_apart(like.places), cover=_apart(np.zeros_like(like.cover)),
        control=_apart(np.zeros_like(like.control)), violations=violations,
    )  # fmt: skip


@njit
def batch_size(image: NDArray[np.int64]) -> int:
    """Return how many states may wait in a batch: PENDING, and the successors of one more."""
    return int(PENDING + image[FANOUT])


@inline_njit
def new_batch(image: NDArray[np.int64]) -> Batch:
    """Return an empty batch with room for PENDING states and the successors of one more."""
    size = batch_size(image)
    return Batch(
        np.empty((size, image[WORDS]), dtype=np.uint64),
        np.empty(size, dtype=np.uint64),
        np.empty(size, dtype=np.int32),
    )


@njit
def _flush(space: StateSpace, batch: Batch, waiting: int, count: int, layer_end: int) -> int:
    """Enter the new states among the `waiting` ones; mark each origin that has a successor in a later layer.

    Returns the number of states in the space.
    """
    parents, flags, tags, numbers = space.parents, space.flags, space.tags, space.numbers
    pending, hashes, origins = batch.states, batch.hashes, batch.origins
    for i in range(uint64(waiting)):
        prefetch_state(space, hashes[i])
    for i in range(uint64(waiting)):
        at, known = look_up(space, pending[i], hashes[i])
        if not known:
            store(space.records, uint64(count), pending[i], True)
            parents[count] = origins[i]
            enter(tags, numbers, at, hashes[i], count)
            count += 1
            flags[origins[i]] |= StateFlag.ONWARD
        elif known > uint64(layer_end):
            flags[origins[i]] |= StateFlag.ONWARD
    return count


@njit
def expand(space: StateSpace, worker: SearchWorker, batch: Batch, waiting: int, span: Span) -> tuple[int, int]:
    """Append the successors of the span's states to the batch, behind the `waiting` ones, until PENDING states wait.

    Unless the expansion is to be full, only the transitions of a persistent set of actors are taken, if there is one
    with an enabled transition that leads to a state. A step that violates a property is recorded, and leads nowhere.
    What ends the search is reported in Control.STOP.

    Returns the number of states that wait in the batch, and the next state to expand.
    """
    image, out, control, state = worker.image, worker.out, worker.control, worker.state
    flags, tags, numbers, mask = space.flags, space.tags, space.numbers, uint64(space.mask)
    pending, hashes, origins = batch.states, batch.hashes, batch.origins
    has_masks = image[MASKS] != 0
    all_actors = (1 << image[N_ACTORS]) - 1
    number = span.begin
    while number < span.end and waiting < PENDING:
        taken = led = 0
        finished, halted = True, False
        load(space.records, uint64(number), state)
        if has_masks:
            stand(image, state, worker.places)
        chosen = all_actors if span.full or not has_masks else persistent(image, state, worker.places)
        rest = all_actors & ~chosen
        while True:
            for actor in range(image[N_ACTORS]):
                if not chosen >> actor & 1:
                    continue
                counter = counter_of(image, state, actor)
                if counter != COUNTER_END:
                    finished = False
                if counter == COUNTER_HALTED:
                    halted = True
                if not may_run(image, state, actor):
                    continue
                choice = int64(0)
                choices = int64(1)
                while choice < choices:
                    after = pending[uint64(waiting)]
                    result = take(worker, state, after, actor, choice)
                    if result == BLOCKED:
                        break
                    choices = out[OUT_CHOICES]
                    if result == SYMMETRIC:
                        choice += 1
                        continue
                    taken += 1
                    if result != STEPPED:
                        if _cut(space, worker, after, Taken(number, actor, choice, result)):
                            choice += 1
                            if control[Control.STOP] == StopReason.DONE:
                                continue
                            control[Control.TRANSITIONS] += taken
                            return waiting, number
                    if has_masks:
                        clear_dead_after(image, after, actor, worker.places)
                    h = hash_of(after)
                    prefetch(tags, h & mask)
                    prefetch(numbers, h & mask)
                    hashes[uint64(waiting)] = h
                    origins[uint64(waiting)] = number
                    waiting += 1
                    led += 1
                    choice += 1
            if rest == 0:
                break
            if led != 0:
                flags[number] |= StateFlag.PARTIAL
                break
            chosen, rest = rest, 0
        control[Control.TRANSITIONS] += taken
        if taken == 0:
            flags[number] |= StateFlag.ONWARD
            if not halted and not (_finish(space, worker, number) if finished else _block(space, worker, number)):
                return waiting, number
        number += 1
    return waiting, number


@njit
def _cut(space: StateSpace, worker: SearchWorker, after: NDArray[np.uint64], taken: Taken) -> bool:
    """Record a step that violates. Returns False if `after` is now the state in which its actor halts before it."""
    image, out = worker.image, worker.out
    if record(space, image, worker.violations, out, taken):
        worker.control[Control.STOP] = StopReason.ENOUGH
        return True
    load(space.records, uint64(taken.state), after)
    return not halt(image, after, worker.registers, out, worker.cover, taken)


@njit
def _block(space: StateSpace, worker: SearchWorker, number: int) -> bool:
    """Record a deadlock. Returns False if the search is to end."""
    taken = Taken(number, NO_ACTOR, 0, STEPPED)
    if record(space, worker.image, worker.violations, worker.out, taken):
        worker.control[Control.STOP] = StopReason.ENOUGH
    return bool(worker.control[Control.STOP] == StopReason.DONE)


@njit
def _finish(space: StateSpace, worker: SearchWorker, number: int) -> bool:
    """Check the end state, in which every actor has ended. Returns False if the search is to end."""
    image, out, control = worker.image, worker.out, worker.control
    control[Control.TERMINAL] += 1
    if image[AT_END] < 0:
        return True
    load(space.records, uint64(number), worker.after)
    result = step(image, worker.after, worker.registers, out, worker.cover, int64(NO_ACTOR), int64(0))
    if result != STEPPED and record(space, image, worker.violations, out, Taken(number, NO_ACTOR, 0, result)):
        control[Control.STOP] = StopReason.ENOUGH
    return bool(control[Control.STOP] == StopReason.DONE)


@allocating_njit
def explore(space: StateSpace, worker: SearchWorker) -> int:
    """Search breadth first from Control.NEXT on, until done, something is found, or a limit is reached: a StopReason.

    New states wait in a batch while the processor prefetches their table entries. The cycle proviso (the ignoring
    problem): a state that was expanded by a persistent set and has no successor in a later layer may lie on a cycle
    that puts off the other actors forever. When a layer is done, its flags show such states, and they are expanded in
    full.
    """
    return _explore(space, worker, new_batch(worker.image))


@njit
def _explore(space: StateSpace, worker: SearchWorker, batch: Batch) -> int:
    """Search as explore() does, with an empty batch."""
    control, flags = worker.control, space.flags
    number = control[Control.NEXT]
    size = len(batch.hashes)
    waiting = int64(0)
    control[Control.STOP] = StopReason.DONE
    while True:
        if waiting >= PENDING or number == control[Control.LAYER_END]:
            control[Control.STATES] = _flush(space, batch, waiting, control[Control.STATES], control[Control.LAYER_END])
            waiting = int64(0)
        if control[Control.STATES] + size > control[Control.LIMIT] or room(space.records) < uint64(size):
            control[Control.STOP] = StopReason.FULL
            break
        span = Span(number, min(control[Control.LAYER_END], control[Control.PAUSE]), False)
        if number == control[Control.LAYER_END]:
            at = control[Control.RESCAN]
            while at < number and flags[at] & (StateFlag.ONWARD | StateFlag.PARTIAL) != StateFlag.PARTIAL:
                at += 1
            control[Control.RESCAN] = at
            if at == number:
                control[Control.LAYER_END] = control[Control.STATES]
                if number == control[Control.STATES]:
                    break
                continue
            flags[at] = 0
            span = Span(at, at + 1, True)
        elif number >= control[Control.PAUSE]:
            control[Control.STOP] = StopReason.PAUSED
            break
        waiting, following = expand(space, worker, batch, waiting, span)
        if not span.full:
            number = following
        if control[Control.STOP] != StopReason.DONE:
            break
    if control[Control.STOP] in (StopReason.FULL, StopReason.PAUSED):
        control[Control.STATES] = _flush(space, batch, waiting, control[Control.STATES], control[Control.LAYER_END])
    control[Control.NEXT] = number
    return int(control[Control.STOP])
