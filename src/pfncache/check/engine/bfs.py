# SPDX-License-Identifier: GPL-2.0-only
"""The engine, native through Numba: searches breadth first with an exact set of visited states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64

from pfncache.check.engine.hash_table import PENDING, expect, hash_of, look_up, prefetch
from pfncache.check.engine.interpreter import (
    BLOCKED,
    FAILED,
    OUT_CHOICES,
    OUT_DETAIL,
    RANGE,
    STEPPED,
    SYMMETRIC,
    counter_of,
    may_run,
    step,
)  # fmt: skip
from pfncache.check.engine.persistent_sets import clear_dead, persistent
from pfncache.check.program.image import AT_END, FANOUT, MASKS, N_ACTORS, WORDS

DONE, VIOLATED, DEADLOCK, END_FAILED, FULL, PAUSED, BAD_RANGE, LOOPING = 0, 1, 2, 3, 4, 5, 6, 7
"""Why explore() returned."""
(
    CTL_STATES,
    CTL_NEXT,
    CTL_LIMIT,
    CTL_PAUSE,
    CTL_TRANSITIONS,
    CTL_STATE,
    CTL_ACTOR,
    CTL_CHOICE,
    CTL_DETAIL,
    CTL_TERMINAL,
    CTL_LEVEL,
    CTL_BEGIN,
    CTL_VERDICT,
) = range(13)
CTL_SIZE = 13
ONWARD, IN_PART = 1, 2
"""Notes of a state: it is an end or a step leads beyond its level; not every actor's steps were taken."""


@njit(cache=True, nogil=True)
def _flush(
    states: Any,
    parents: Any,
    onward: Any,
    table: Any,
    mask: Any,
    pending: Any,
    hashes: Any,
    origins: Any,
    waiting: int,
    count: int,
    level: int,
) -> int:
    """Enter the pending states that are new, note whose steps lead beyond `level`. Returns the number of states."""
    words = pending.shape[1]
    for i in range(uint64(waiting)):
        expect(states, table, mask, hashes[i], words)
    for i in range(uint64(waiting)):
        at, known = look_up(states, table, mask, pending[i], hashes[i], words)
        if not known:
            for k in range(uint64(words)):
                states[count, k] = pending[i, k]
            parents[count] = origins[i]
            count += 1
            table[at] = (hashes[i] & uint64(0xFFFFFFFF00000000)) | uint64(count)
            onward[origins[i]] |= ONWARD
        elif known > uint64(level):
            onward[origins[i]] |= ONWARD
    return count


@njit(cache=True, nogil=True, inline="always")
def successors(
    image: Any,
    states: Any,
    onward: Any,
    table: Any,
    mask: Any,
    pending: Any,
    hashes: Any,
    origins: Any,
    waiting: int,
    number: int,
    whole: bool,
    registers: Any,
    out: Any,
    cover: Any,
    ctl: Any,
) -> int:
    """Put the states that steps from `number` lead to behind the `waiting` ones in `pending`, which has room for them.

    Unless the `whole` is wanted, the steps of a persistent set of actors will do, where there is one with a step.
    What was found goes to ctl[CTL_VERDICT]. Returns how many states wait.
    """
    words = uint64(image[WORDS])
    taken = 0
    finished = True
    state = states[uint64(number)]
    everybody = (1 << image[N_ACTORS]) - 1
    chosen = everybody if whole or image[MASKS] == 0 else persistent(image, state)
    rest = everybody & ~chosen
    while True:
        for actor in range(image[N_ACTORS]):
            if not chosen >> actor & 1:
                continue
            if counter_of(image, state, actor) != 0:
                finished = False
            if not may_run(image, state, actor):
                continue
            choice = 0
            choices = 1
            while choice < choices:
                after = pending[uint64(waiting)]
                for i in range(words):
                    after[i] = state[i]
                result = step(image, after, registers, out, cover, actor, choice)
                if result == BLOCKED:
                    break
                choices = out[OUT_CHOICES]
                if result == SYMMETRIC:
                    choice += 1
                    continue
                taken += 1
                if result != STEPPED:
                    ctl[CTL_VERDICT] = VIOLATED if result == FAILED else (BAD_RANGE if result == RANGE else LOOPING)
                    ctl[CTL_STATE] = number
                    ctl[CTL_ACTOR] = actor
                    ctl[CTL_CHOICE] = choice
                    ctl[CTL_DETAIL] = out[OUT_DETAIL]
                    ctl[CTL_TRANSITIONS] += taken
                    return waiting
                clear_dead(image, after)
                h = hash_of(after, words)
                prefetch(table, h & mask)  # type: ignore[call-arg]
                hashes[uint64(waiting)] = h
                origins[uint64(waiting)] = number
                waiting += 1
                choice += 1
        if rest == 0:
            break
        if taken != 0:
            onward[number] |= IN_PART
            break
        chosen, rest = rest, 0
    ctl[CTL_TRANSITIONS] += taken
    if taken == 0:
        ctl[CTL_STATE] = number
        ctl[CTL_ACTOR] = -1
        if not finished:
            ctl[CTL_VERDICT] = DEADLOCK
            return waiting
        ctl[CTL_TERMINAL] += 1
        onward[number] |= ONWARD
        if image[AT_END] >= 0:
            after = state.copy()
            result = step(image, after, registers, out, cover, -1, 0)
            if result != STEPPED:
                ctl[CTL_VERDICT] = END_FAILED if result == FAILED else BAD_RANGE
                ctl[CTL_DETAIL] = out[OUT_DETAIL]
    return waiting


@njit(cache=True, nogil=True)
def explore(
    image: Any,
    states: Any,
    parents: Any,
    onward: Any,
    table: Any,
    mask: int,
    registers: Any,
    out: Any,
    cover: Any,
    ctl: Any,
) -> int:
    """Search breadth first from ctl[CTL_NEXT] on, until done, something is found, or a limit in `ctl` is reached.

    New states wait in a small buffer while the processor fetches their places in the table. A state is marked in
    `onward` when it is an end, or when one of its steps leads to a level of the search beyond its own. When a level is
    done, those that were expanded in part and are not marked are expanded as a whole: else a loop could put off for
    ever what the rest of the actors do.
    """
    words = image[WORDS]
    umask = uint64(mask)
    number = ctl[CTL_NEXT]
    size = PENDING + image[FANOUT]
    pending = np.empty((size, words), dtype=np.uint64)
    hashes = np.empty(size, dtype=np.uint64)
    origins = np.empty(size, dtype=np.int32)
    waiting = 0
    ctl[CTL_VERDICT] = DONE
    while True:
        if waiting >= PENDING or number == ctl[CTL_LEVEL]:
            ctl[CTL_STATES] = _flush(
                states, parents, onward, table, umask, pending, hashes, origins, waiting,
                ctl[CTL_STATES], ctl[CTL_LEVEL],
            )  # fmt: skip
            waiting = 0
        if ctl[CTL_STATES] + size > ctl[CTL_LIMIT]:
            ctl[CTL_VERDICT] = FULL
            break
        at = number
        if number == ctl[CTL_LEVEL]:
            at = ctl[CTL_BEGIN]
            while at < number and onward[at] & (ONWARD | IN_PART) != IN_PART:
                at += 1
            ctl[CTL_BEGIN] = at
            if at == number:
                ctl[CTL_LEVEL] = ctl[CTL_STATES]
                if number == ctl[CTL_STATES]:
                    break
                continue
            onward[at] = 0
        elif number >= ctl[CTL_PAUSE]:
            ctl[CTL_VERDICT] = PAUSED
            break
        waiting = successors(
            image, states, onward, table, umask, pending, hashes, origins, waiting, at, at != number,
            registers, out, cover, ctl,
        )  # fmt: skip
        if ctl[CTL_VERDICT] != DONE:
            break
        number += at == number
    if ctl[CTL_VERDICT] in (FULL, PAUSED):
        ctl[CTL_STATES] = _flush(
            states, parents, onward, table, umask, pending, hashes, origins, waiting, ctl[CTL_STATES], ctl[CTL_LEVEL]
        )
    ctl[CTL_NEXT] = number
    return int(ctl[CTL_VERDICT])
