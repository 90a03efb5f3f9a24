# SPDX-License-Identifier: GPL-2.0-only
"""What a search may leave out of a state and its steps, native through Numba: dead variables, other actors."""

from __future__ import annotations

from typing import Any

from numba import njit, uint64

import pfncache.check.engine.numba_cache  # noqa: F401 - says where the native code of all functions below is kept
from pfncache.check.engine.interpreter import counter_of, read
from pfncache.check.program.image import ACTOR, ACTOR_FIRST_YIELD, ACTORS, MASKS, N_ACTORS, N_MASKS, WORDS

LIVE, READS, WRITES, LATER_READS, LATER_WRITES = range(5)
"""The masks of a place, in the order of masks.Masks."""


@njit(cache=True, nogil=True, inline="always")
def _masks_at(image: Any, state: Any, actor: int, words: Any) -> Any:
    """Where in the image the masks are of the place at which an actor stands."""
    row = uint64(image[ACTORS] + actor * ACTOR)
    place = uint64(image[row + uint64(ACTOR_FIRST_YIELD)]) + read(image, state, row)
    return uint64(image[MASKS]) + place * uint64(N_MASKS) * words


@njit(cache=True, nogil=True, inline="always")
def clear_dead(image: Any, state: Any) -> None:
    """Zero the variables that nobody reads again before they are overwritten: states that differ in these are one."""
    if image[MASKS] == 0:
        return
    words = uint64(image[WORDS])
    for word in range(words):
        live = uint64(0)
        for actor in range(image[N_ACTORS]):
            live |= uint64(image[_masks_at(image, state, actor, words) + word])
        state[word] &= live


@njit(cache=True, nogil=True)
def persistent(image: Any, state: Any) -> int:
    """A set of actors, as bits, that suffices to be expanded: the smallest of those that grow from one actor each.

    Nothing that the others may ever do touches what the next steps of these touch, or wait for.
    """
    words = uint64(image[WORDS])
    running = 0
    for actor in range(image[N_ACTORS]):
        if counter_of(image, state, actor) != 0:
            running |= 1 << actor
    best, fewest = running, image[N_ACTORS]
    for seed in range(image[N_ACTORS]):
        if not running >> seed & 1:
            continue
        chosen = 1 << seed
        todo = chosen
        size = 1
        while todo != 0 and size < fewest:
            actor = 0
            while not todo >> actor & 1:
                actor += 1
            todo &= todo - 1
            own = _masks_at(image, state, actor, words)
            for other in range(image[N_ACTORS]):
                if not (running & ~chosen) >> other & 1:
                    continue
                at = _masks_at(image, state, other, words)
                conflict = uint64(0)
                for word in range(words):
                    later_writes = uint64(image[at + uint64(LATER_WRITES) * words + word])
                    conflict |= uint64(image[own + uint64(READS) * words + word]) & later_writes
                    conflict |= uint64(image[own + uint64(WRITES) * words + word]) & (
                        later_writes | uint64(image[at + uint64(LATER_READS) * words + word])
                    )
                if conflict != 0:
                    chosen |= 1 << other
                    todo |= 1 << other
                    size += 1
        if size < fewest:
            best, fewest = chosen, size
            if size == 1:
                break
    return best
