# SPDX-License-Identifier: GPL-2.0-only
"""Reductions during the search, native through Numba: dead variables and persistent sets."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pfncache.check.engine.interpreter import counter_of, read
from pfncache.check.engine.numba_cache import inline_njit, njit, uint64
from pfncache.check.program.image import (
    ACTOR,
    ACTOR_FIRST_YIELD,
    ACTORS,
    COUNTER_HALTED,
    MASKS,
    N_ACTORS,
    N_MASKS,
    WORDS,
    MaskRow,
)


@inline_njit
def _masks_at(image: NDArray[Any], state: NDArray[Any], actor: int, words: Any) -> Any:
    """Return the offset in the image of the masks of the place at which an actor stands."""
    row = uint64(image[ACTORS] + actor * ACTOR)
    place = uint64(image[row + uint64(ACTOR_FIRST_YIELD)]) + read(image, state, row)
    return uint64(image[MASKS]) + place * uint64(N_MASKS) * words


@inline_njit
def clear_dead(image: NDArray[Any], state: NDArray[Any]) -> None:
    """Zero the dead variables, which no actor reads before they are overwritten: states that differ in these merge."""
    if image[MASKS] == 0:
        return
    words = uint64(image[WORDS])
    for word in range(words):
        live = uint64(0)
        for actor in range(image[N_ACTORS]):
            live |= uint64(image[_masks_at(image, state, actor, words) + word])
        state[word] &= live


@inline_njit
def stand(image: NDArray[Any], state: NDArray[Any], places: NDArray[Any]) -> None:
    """Set the offset in the image of the masks of the place at which each actor stands."""
    for actor in range(image[N_ACTORS]):
        places[actor] = _masks_at(image, state, actor, uint64(image[WORDS]))


@inline_njit
def clear_dead_after(image: NDArray[Any], state: NDArray[Any], actor: int, places: NDArray[Any]) -> None:
    """As clear_dead(), behind a step of `actor` from the state of `places`: the other actors stand where they stood."""
    words = uint64(image[WORDS])
    own = _masks_at(image, state, actor, words)
    for word in range(words):
        live = uint64(image[own + word])
        for other in range(image[N_ACTORS]):
            if other != actor:
                live |= uint64(image[uint64(places[other]) + word])
        state[word] &= live


@njit
def persistent(image: NDArray[Any], state: NDArray[Any], places: NDArray[Any]) -> int:
    """Return a persistent set of actors as a bit mask (Godefroid): the smallest of those grown from one actor each.

    No step that the actors outside of the set may ever take is dependent with a next step of an actor in it: it writes
    nothing that such a step reads or waits for, and touches nothing that such a step writes. An actor that is halted
    takes no step any more. `places` is what stand() sets for the state.
    """
    words = uint64(image[WORDS])
    running = 0
    for actor in range(image[N_ACTORS]):
        if counter_of(image, state, actor) > COUNTER_HALTED:
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
            own = uint64(places[actor])
            for other in range(image[N_ACTORS]):
                if not (running & ~chosen) >> other & 1:
                    continue
                at = uint64(places[other])
                conflict = uint64(0)
                for word in range(words):
                    later_writes = uint64(image[at + uint64(MaskRow.LATER_WRITES) * words + word])
                    conflict |= uint64(image[own + uint64(MaskRow.READS) * words + word]) & later_writes
                    conflict |= uint64(image[own + uint64(MaskRow.WRITES) * words + word]) & (
                        later_writes | uint64(image[at + uint64(MaskRow.LATER_READS) * words + word])
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
