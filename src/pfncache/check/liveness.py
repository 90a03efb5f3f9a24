# SPDX-License-Identifier: GPL-2.0-only
"""Liveness, native through Numba: from which visited states everything can end."""

from __future__ import annotations

from typing import Any

from numba import njit

from pfncache.check.engine import BLOCKED, ONWARD, OUT_CHOICES, STEPPED, clear_dead, counter_of, find, may_run, step
from pfncache.check.link import N_ACTORS, WORDS


@njit(cache=True, nogil=True)
def _is_end(image: Any, states: Any, number: int) -> bool:
    for actor in range(image[N_ACTORS]):
        if counter_of(image, states[number], actor) != 0:
            return False
    return True


@njit(cache=True, nogil=True)
def _successor(
    image: Any,
    states: Any,
    table: Any,
    mask: int,
    registers: Any,
    out: Any,
    cover: Any,
    scratch: Any,
    number: int,
    below: int,
) -> int:
    """The highest number of a state one step after `number` that is less than `below`; -1 when there is none."""
    words = image[WORDS]
    best = -1
    for actor in range(image[N_ACTORS]):
        if not may_run(image, states[number], actor):
            continue
        choice = 0
        choices = 1
        while choice < choices:
            for i in range(words):
                scratch[i] = states[number, i]
            result = step(image, scratch, registers, out, cover, actor, choice)
            if result == BLOCKED:
                break
            choices = out[OUT_CHOICES]
            choice += 1
            if result == STEPPED:
                clear_dead(image, scratch)
                other = find(states, table, mask, scratch, words)
                if best < other < below:
                    best = other
    return best


@njit(cache=True, nogil=True)
def leads_to_end(
    image: Any,
    states: Any,
    onward: Any,
    good: Any,
    table: Any,
    mask: int,
    registers: Any,
    out: Any,
    cover: Any,
    scratch: Any,
    number: int,
    count: int,
) -> bool:
    """Whether one step from `number`, and then levels upwards only, leads to an end or to a state marked in `good`."""
    below = count
    while True:
        first = _successor(image, states, table, mask, registers, out, cover, scratch, number, below)
        if first < 0:
            return False
        below = first
        at = first
        while onward[at] & ONWARD:
            if _is_end(image, states, at):
                return True
            # An onward state has a step to a later level, and later levels have higher numbers.
            at = _successor(image, states, table, mask, registers, out, cover, scratch, at, count)
        if good[at]:
            return True


@njit(cache=True, nogil=True)
def mark_ends(
    image: Any,
    states: Any,
    table: Any,
    mask: int,
    registers: Any,
    out: Any,
    cover: Any,
    good: Any,
    scratch: Any,
    count: int,
) -> int:
    """Mark, last to first, the states one step before a marked state or the end. Returns how many are new."""
    words = image[WORDS]
    new = 0
    for number in range(count - 1, -1, -1):
        if good[number]:
            continue
        if _is_end(image, states, number):
            good[number] = 1
            new += 1
            continue
        for actor in range(image[N_ACTORS]):
            if good[number] or not may_run(image, states[number], actor):
                continue
            choice = 0
            choices = 1
            while choice < choices:
                for i in range(words):
                    scratch[i] = states[number, i]
                result = step(image, scratch, registers, out, cover, actor, choice)
                if result == BLOCKED:
                    break
                choices = out[OUT_CHOICES]
                choice += 1
                if result == STEPPED:
                    clear_dead(image, scratch)
                    other = find(states, table, mask, scratch, words)
                    if other >= 0 and good[other]:
                        good[number] = 1
                        new += 1
                        break
    return new
