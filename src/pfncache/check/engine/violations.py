# SPDX-License-Identifier: GPL-2.0-only
"""The table of the violations that a search meets, native through Numba: of each kind the first.

A search goes on behind a violation, but not through it: the step that violates leads nowhere.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.collapse import load
from pfncache.check.engine.hash_table import StateSpace
from pfncache.check.engine.interpreter import (
    ENDLESS,
    FAILED,
    HALTED,
    NO_ACTOR,
    NO_POINT,
    OUT_DETAIL,
    OUT_EVENTS,
    OUT_POINT,
    OUT_STOP,
    RANGE,
    STEPPED,
    counter_of,
    may_run,
    step,
)
from pfncache.check.engine.numba_cache import copy, njit, uint64
from pfncache.check.program.image import COUNTER_END, N_ACTORS

MAX_VIOLATIONS = 256
"""Kinds of violations that a search distinguishes. One in whose table there is no room for more is bounded."""
INTERRUPTED = -1
"""Instead of the function in which an actor stands."""


class Met(IntEnum):
    """What a search has met."""

    FAILURE = 0
    """A step that violates a property. Its kind: the failure, and the last preemption point."""
    END_FAILURE = 1
    """The check of the end state fails. Its kind: the failure."""
    DEADLOCK = 2
    """No actor can take a step, and not all have ended. Its kind: the function in which each actor is blocked, and
    which are interrupted instead."""
    ENDLESS_STEP = 3
    """A step that repeats itself. Its kind: the actor, and the last preemption point."""
    LONG_STEP = 4
    """A step of more than interpreter.MAX_INSTRUCTIONS, which is no violation. Its kind: the last preemption point."""
    OUT_OF_RANGE = 5
    """A step that stores a value that the variable has no room for, which is no violation. Its kind: the store."""


class Row(IntEnum):
    """The columns of the table."""

    MET = 0
    """What was met: a Met."""
    DETAIL = 1
    """Of a failure: its number. Of a value out of range: the offset of the store in the image."""
    POINT = 2
    """The number of the last preemption point."""
    STATE = 3
    """The state in which it was met."""
    ACTOR = 4
    CHOICE = 5
    """The actor whose step violates, -1 for none, and the outcome of its nondeterministic choice."""


class Count(IntEnum):
    """The counters of a table."""

    ROWS = 0
    DROPPED = 1
    """How often there was no room for a violation."""
    WANTED = 2
    """Rows after which the search is to end; 0 for none."""


class Violations(NamedTuple):
    """A table of violations."""

    rows: NDArray[np.int64]
    """By number, then by Row. The row behind the last one is scratch space."""
    counts: NDArray[np.int64]
    """By Count."""
    functions: NDArray[np.int32]
    """By actor and program counter: the number of the function of that place; the same number for the same name."""
    states: NDArray[np.uint64]
    """Scratch space for two states that are compared."""


class Taken(NamedTuple):
    """A step that was taken: from which state, by whom, with which outcome of its choice, and the result."""

    state: int
    actor: int
    choice: int
    result: int


def new_violations(functions: NDArray[np.int32], words: int, wanted: int = 0) -> Violations:
    """Return an empty table for states of so many words."""
    counts = np.zeros(len(Count), dtype=np.int64)
    counts[Count.WANTED] = wanted
    rows = np.zeros((MAX_VIOLATIONS + 1, len(Row)), dtype=np.int64)
    states = np.zeros((2, words), dtype=np.uint64)
    return Violations(rows=rows, counts=counts, functions=functions, states=states)


@njit
def record(
    space: StateSpace, image: NDArray[np.int64], table: Violations, out: NDArray[np.int64], taken: Taken
) -> bool:
    """Enter what a step has met, or with a result of STEPPED a deadlock. Returns True if the search is to end."""
    row = table.rows[table.counts[Count.ROWS]]
    row[Row.MET], row[Row.DETAIL], row[Row.POINT] = Met.DEADLOCK, 0, NO_POINT
    row[Row.STATE], row[Row.ACTOR], row[Row.CHOICE] = taken.state, taken.actor, taken.choice
    if taken.result == FAILED:
        row[Row.MET] = Met.FAILURE if taken.actor != NO_ACTOR else Met.END_FAILURE
        row[Row.DETAIL], row[Row.POINT] = out[OUT_DETAIL], out[OUT_POINT]
    elif taken.result == ENDLESS:
        row[Row.MET], row[Row.POINT] = Met.ENDLESS_STEP, out[OUT_POINT]
    elif taken.result == RANGE:
        row[Row.MET], row[Row.DETAIL] = Met.OUT_OF_RANGE, out[OUT_DETAIL]
    elif taken.result != STEPPED:
        row[Row.MET], row[Row.POINT] = Met.LONG_STEP, out[OUT_POINT]
    return _enter(space, image, table)


@njit
def merge(space: StateSpace, image: NDArray[np.int64], table: Violations, other: Violations) -> bool:
    """Enter the rows of another table. Returns True if the search is to end."""
    table.counts[Count.DROPPED] += other.counts[Count.DROPPED]
    for i in range(other.counts[Count.ROWS]):
        copy(other.rows[i], table.rows[table.counts[Count.ROWS]])
        if _enter(space, image, table):
            return True
    return False


@njit
def _enter(space: StateSpace, image: NDArray[np.int64], table: Violations) -> bool:
    """Keep the row behind the last one if it is of a new kind. Returns True if the search is to end."""
    rows, counts = table.rows, table.counts
    count = counts[Count.ROWS]
    for i in range(count):
        if _same_kind(space, image, table, rows[i], rows[count]):
            return False
    if count == MAX_VIOLATIONS:
        counts[Count.DROPPED] += 1
        return False
    counts[Count.ROWS] = count + 1
    return bool(count + 1 == counts[Count.WANTED])


@njit
def _same_kind(
    space: StateSpace,
    image: NDArray[np.int64],
    table: Violations,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
) -> bool:
    """Return whether two rows are of the same kind."""
    met = a[Row.MET]
    if met != b[Row.MET] or a[Row.DETAIL] != b[Row.DETAIL]:
        return False
    if met == Met.DEADLOCK:
        one, other, functions = table.states[0], table.states[1], table.functions
        load(space.records, uint64(a[Row.STATE]), one)
        load(space.records, uint64(b[Row.STATE]), other)
        for actor in range(image[N_ACTORS]):
            if _blocked_in(image, one, functions, actor) != _blocked_in(image, other, functions, actor):
                return False
        return True
    if met == Met.ENDLESS_STEP and a[Row.ACTOR] != b[Row.ACTOR]:
        return False
    return bool(met == Met.END_FAILURE or a[Row.POINT] == b[Row.POINT])


@njit
def _blocked_in(image: NDArray[np.int64], state: NDArray[np.uint64], functions: NDArray[np.int32], actor: int) -> int:
    """Return the number of the function in which an actor is blocked; INTERRUPTED for one that is interrupted."""
    counter = counter_of(image, state, actor)
    if counter != COUNTER_END and not may_run(image, state, actor):
        return INTERRUPTED
    return int(functions[actor, counter])


@njit
def halt(
    image: NDArray[np.int64],
    after: NDArray[np.uint64],
    registers: NDArray[np.int64],
    out: NDArray[np.int64],
    cover: NDArray[np.uint8],
    taken: Taken,
) -> bool:
    """Take the part of a step up to its last preemption point, in place; False if that is where the step begins.

    `out` has the report of the whole step, which was cut off behind that point. Steps of other actors may come
    between.
    """
    if out[OUT_EVENTS] <= 1:
        return False
    out[OUT_STOP] = out[OUT_EVENTS]
    result = step(image, after, registers, out, cover, taken.actor, taken.choice)
    out[OUT_STOP] = 0
    return bool(result == HALTED)
