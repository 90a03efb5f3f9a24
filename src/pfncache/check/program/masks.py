# SPDX-License-Identifier: GPL-2.0-only
"""Bit masks of each place of an actor: live variables, and the accesses of its next and of all later transitions.

A mask has a bit for each bit of the state. Dead variables are cleared with them, and persistent sets found. They are
over-approximations: a variable that may be read counts as read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfncache.check.code import OP, SUBJECT, Code
from pfncache.check.engine.numba_cache import allocating_njit
from pfncache.check.ir import Column, Variable
from pfncache.check.ops import LOADS, STORES, Op
from pfncache.check.program.dataflow import by_op, derived, edges
from pfncache.check.program.image import N_MASKS, MaskRow
from pfncache.check.program.solver import WORD, Sets, backwards, empty_sets
from pfncache.check.system import Heap

Words = NDArray[np.uint64]
"""A mask over the state."""
IS_LOAD, IS_STORE = by_op(LOADS), by_op(STORES)


@dataclass(frozen=True)
class Flow:
    """The accesses of a code, as sets of its variables."""

    variables: list[Variable]
    accesses: Sets
    """By instruction: what it reads, then what it writes."""
    places: dict[int, int]
    """The rows of the following, by instruction index of the entry (0) and behind each event."""
    live: Sets
    """Live variables, which may be read before they are overwritten."""
    kept: Sets
    """Variables that may keep their value until the actor ends. One more bit is set if the actor may end."""
    later_reads: Sets
    later_writes: Sets
    """Variables that may be read, or written, from there on."""


@allocating_njit
def spread(sets: Sets, bits: Words) -> Words:
    """Turn sets of variables into masks with a bit for each bit of the state; `bits` has those of each variable."""
    found = np.zeros((len(sets), bits.shape[1]), dtype=np.uint64)
    for row in range(len(sets)):
        for variable in range(len(bits)):
            if (sets[row, variable >> 6] >> np.uint64(variable & 63)) & np.uint64(1) != 0:
                for word in range(bits.shape[1]):
                    found[row, word] |= bits[variable, word]
    return found


def masks_of(
    code: Code, heap: Heap, visible: NDArray[Any], bits: Callable[[Variable], Words], live_at_end: Words
) -> NDArray[np.uint64]:
    """Return the masks of the entry and of each of the `visible` events, in the order of image.MASKS.

    `live_at_end` are the bits that the check at the end reads.
    """
    flow = flow_of(code, heap)
    count, words = len(flow.variables), len(live_at_end)
    own = np.array([bits(variable) for variable in flow.variables], dtype=np.uint64).reshape(count, words)
    others = live_at_end & ~np.bitwise_or.reduce(own, axis=0) if count else live_at_end
    rows = [flow.places[i] for i in (0, *(visible + 1).tolist())]
    ends = (flow.kept[rows, count // WORD] >> np.uint64(count % WORD) & np.uint64(1)).astype(np.bool_)
    barrier = np.zeros(len(code.rows), dtype=np.bool_)
    barrier[visible] = True
    nothing = np.zeros_like(flow.accesses)
    nearby = backwards(edges(code), flow.accesses, nothing, nothing, barrier)[[0, *(visible + 1).tolist()]]
    half = flow.accesses.shape[1] // 2
    found = np.empty((len(rows), N_MASKS, words), dtype=np.uint64)
    found[:, MaskRow.LIVE] = spread(flow.live[rows], own) | (spread(flow.kept[rows], own) & live_at_end)
    found[:, MaskRow.LIVE] |= np.where(ends[:, None], others, np.uint64(0))
    found[:, MaskRow.READS] = spread(nearby[:, :half].copy(), own)
    found[:, MaskRow.WRITES] = spread(nearby[:, half:].copy(), own)
    found[:, MaskRow.LATER_READS] = spread(flow.later_reads[rows], own)
    found[:, MaskRow.LATER_WRITES] = spread(flow.later_writes[rows], own)
    return found


def flow_of(code: Code, heap: Heap) -> Flow:
    """Return the accesses of each instruction of a code, and of all that may follow it."""
    return _flow(code, tuple(len(heap.variables(column)) for column in columns_of(code)))


@derived
def columns_of(code: Code) -> list[Column]:
    """Return the columns that a code accesses."""
    return [code.subjects.things[n] for n in np.unique(code.rows[code.where(Op.LOADX, Op.STOREX), SUBJECT]).tolist()]


@derived
def _flow(code: Code, sizes: tuple[int, ...]) -> Flow:
    """Return the flow of a code whose columns have these sizes."""
    size_of = dict(zip(columns_of(code), sizes, strict=True))
    number: dict[Variable, int] = {}
    ops, subjects = code.rows[:, OP], code.rows[:, SUBJECT]
    accessing = np.flatnonzero(IS_LOAD[ops] | IS_STORE[ops])
    operands, which = np.unique(subjects[accessing], return_inverse=True)

    def touched(operand: Variable | Column) -> list[int]:
        if isinstance(operand, Variable):
            return [number.setdefault(operand, len(number))]
        variables = (Variable(operand.kind, n + 1, operand.name) for n in range(size_of[operand]))
        return [number.setdefault(variable, len(number)) for variable in variables]

    members = [touched(code.subjects.things[n]) for n in operands.tolist()]
    known = empty_sets(len(members), len(number) + 1)  # one more bit, of Flow.kept
    for row, numbers in enumerate(members):
        for n in numbers:
            known[row, n // WORD] |= np.uint64(1 << n % WORD)
    size, width = len(ops), known.shape[1]
    touches = np.zeros((size, width), dtype=np.uint64)
    touches[accessing] = known[which]
    reads, writes = touches * IS_LOAD[ops][:, None], touches * IS_STORE[ops][:, None]
    overwrites = touches * (ops == Op.STORE)[:, None]
    everything = np.zeros(width, dtype=np.uint64)
    for n in range(len(number) + 1):
        everything[n // WORD] |= np.uint64(1 << n % WORD)
    nothing = np.zeros_like(touches)
    ends = np.where((ops == Op.HALT)[:, None], everything, np.uint64(0))
    # one pass for four problems, side by side: live, kept, later reads, later writes
    found = backwards(
        edges(code),
        np.hstack((reads, nothing, reads, writes)),
        np.hstack((overwrites, overwrites, nothing, nothing)),
        np.hstack((nothing, ends, nothing, nothing)),
        np.zeros(size, dtype=np.bool_),
    )
    events = code.where(Op.EVENT)
    rows = [0, *(events + 1).tolist()]
    live, kept, later_reads, later_writes = (
        np.ascontiguousarray(found[rows, n * width : (n + 1) * width]) for n in range(4)
    )
    return Flow(
        variables=list(number),
        accesses=np.hstack((reads, writes)),
        places={i: n for n, i in enumerate(rows)},
        live=live,
        kept=kept,
        later_reads=later_reads,
        later_writes=later_writes,
    )


def words_of(mask: int, words: int) -> Words:
    """Return a mask as words of the state."""
    return np.frombuffer(mask.to_bytes(words * WORD // 8, "little"), dtype="<u8").astype(np.uint64)
