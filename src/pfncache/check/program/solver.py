# SPDX-License-Identifier: GPL-2.0-only
"""Solvers of dataflow problems on step code, native through Numba. Sets are rows of words, a bit for each member."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.numba_cache import allocating_njit

Sets = NDArray[np.uint64]
"""By instruction: the words of a set."""
WORD = 64


@allocating_njit
def _last_jump_back_to(follow: NDArray[Any]) -> NDArray[Any]:
    """Return, for each instruction, the last one from there on that it succeeds; -1 if there is none."""
    found = np.full(len(follow), -1, dtype=np.int64)
    for i in range(len(follow)):
        for branch in range(2):
            target = follow[i, branch]
            if 0 <= target <= i:
                found[target] = i
    return found


@allocating_njit
def backwards(follow: NDArray[Any], gen: Sets, kill: Sets, ends: Sets, barrier: NDArray[Any]) -> Sets:
    """Solve a backward dataflow problem: in = gen | (out & ~kill), out = the union over the successors.

    `ends` is what holds after an instruction regardless of its successors. At a barrier, in is empty.
    """
    size, width = gen.shape
    found = np.zeros_like(gen)
    behind = _last_jump_back_to(follow)
    changed = np.ones(size, dtype=np.bool_)  # since its predecessors were looked at
    top = size - 1
    while top >= 0:
        bottom, top = top, -1
        for i in range(bottom, -1, -1):
            first, second = follow[i, 0], follow[i, 1]
            if barrier[i] or not (changed[i] or (first >= 0 and changed[first]) or (second >= 0 and changed[second])):
                changed[i] = False
                continue
            changed[i] = False
            for word in range(width):
                after = ends[i, word]
                if first >= 0:
                    after |= found[first, word]
                if second >= 0:
                    after |= found[second, word]
                into = gen[i, word] | (after & ~kill[i, word])
                if into != found[i, word]:
                    found[i, word] = into
                    changed[i] = True
            if changed[i]:
                top = max(top, behind[i])
    return found


@allocating_njit
def forwards(follow: NDArray[Any], gen: Sets, kill: Sets) -> Sets:
    """Solve a forward dataflow problem: in = the union of (in & ~kill) | gen over the predecessors.

    That of the entry is empty. The last bit of a set is set if the instruction can be reached.
    """
    found = np.zeros_like(gen)
    last = gen.shape[1] - 1
    reached = np.uint64(1) << np.uint64(63)
    found[0, last] = reached
    changed = True
    while changed:
        changed = False
        for i in range(len(gen)):
            if found[i, last] & reached == 0:
                continue
            for branch in range(2):
                after = follow[i, branch]
                if after < 0:
                    continue
                for word in range(gen.shape[1]):
                    out = found[after, word] | (found[i, word] & ~kill[i, word]) | gen[i, word]
                    if out != found[after, word]:
                        found[after, word] = out
                        changed = True
    return found


KEEP, CLEAR, SET = 0, 1, 2
"""What an instruction does to a fact."""


@allocating_njit
def everywhere(follow: NDArray[Any], effect: NDArray[Any]) -> NDArray[Any]:
    """Return, for each instruction, whether a fact holds on every path to it. It does not at the entry.

    Nor does it where no path leads to. `effect` is what each instruction does to it.
    """
    found = np.ones(len(effect), dtype=np.bool_)
    reached = np.zeros(len(effect), dtype=np.bool_)
    found[0], reached[0] = False, True
    changed = True
    while changed:
        changed = False
        for i in range(len(effect)):
            if not reached[i]:
                continue
            onward = found[i] if effect[i] == KEEP else effect[i] == SET
            for branch in range(2):
                after = follow[i, branch]
                if after >= 0 and (not reached[after] or (found[after] and not onward)):
                    found[after] = found[after] and onward
                    reached[after] = True
                    changed = True
    return found & reached


def members(sets: Sets) -> NDArray[np.bool_]:
    """Return a matrix of sets and members: whether it is one."""
    return np.unpackbits(sets.astype("<u8").view(np.uint8), axis=1, bitorder="little").view(np.bool_)


def empty_sets(count: int, members: int) -> Sets:
    """Return so many empty sets with room for so many members."""
    return np.zeros((count, -(-members // WORD) or 1), dtype=np.uint64)
