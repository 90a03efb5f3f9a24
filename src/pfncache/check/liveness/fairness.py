# SPDX-License-Identifier: GPL-2.0-only
"""Fair cycles: those on which every actor that can take a step takes one. Native through Numba.

A strongly fair scheduler, which lets nobody wait for ever who can run again and again, may go round such a cycle for
ever. Where there is none, every execution under one ends: there are finitely many states.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from pfncache.check.liveness.graph import Graph


def fair_states(graph: Graph) -> NDArray[np.int64]:
    """States that all lead to each other, by steps of every actor that is able to take one in any of them.

    Of several such sets, the one with the lowest number in it; nothing when there is none. It is found by Streett's
    decomposition: of a strongly connected component, leave out the states in which somebody is able who does not move
    in it, and take what is left apart again.
    """
    inside = np.ones(len(graph.able), dtype=np.bool_)
    while inside.any():
        part = _components(graph.first, graph.after, inside)
        if not _leave_out_unfair(graph.first, graph.after, graph.actor, graph.able, part, inside):
            return np.flatnonzero(part == part[inside.argmax()])
    return np.empty(0, dtype=np.int64)


@njit(cache=True, nogil=True)
def _leave_out_unfair(first: Any, after: Any, actor: Any, able: Any, part: Any, inside: Any) -> bool:
    """Take states out of `inside`: where an actor is able that does not move in the component, or nobody moves there.

    Returns whether there were any.
    """
    moves = np.zeros(len(part) + 1, dtype=np.uint64)
    for n in range(len(part)):
        if inside[n]:
            for edge in range(first[n], first[n + 1]):
                if part[after[edge]] == part[n]:
                    moves[part[n]] |= uint64(1) << uint64(actor[edge])
    found = False
    for n in range(len(part)):
        if inside[n] and (not moves[part[n]] or able[n] & ~moves[part[n]]):
            inside[n] = False
            found = True
    return found


@njit(cache=True, nogil=True)
def _components(first: Any, after: Any, inside: Any) -> Any:
    """For each state that is `inside`, the number from 1 of its strongly connected component; 0 for all others.

    Tarjan's algorithm, with a stack of its own instead of recursion.
    """
    size = len(inside)
    part = np.zeros(size, dtype=np.int32)
    order = np.zeros(size, dtype=np.int32)  # in which states were found, from 1
    low = np.zeros(size, dtype=np.int32)
    edge = first[:-1].copy()  # the next step of each state to follow
    waiting = np.empty(size, dtype=np.int32)  # found, and not yet in a component
    trail = np.empty(size, dtype=np.int32)  # from the root to where we are
    found = held = parts = 0
    for root in range(size):
        if order[root] or not inside[root]:
            continue
        depth = 0
        trail[0] = root
        while depth >= 0:
            here = trail[depth]
            if not order[here]:
                found += 1
                order[here] = low[here] = found
                waiting[held] = here
                held += 1
            if edge[here] < first[here + 1]:
                there = after[edge[here]]
                if not inside[there] or part[there]:
                    edge[here] += 1
                elif not order[there]:
                    depth += 1
                    trail[depth] = there
                else:  # also when we are back from it
                    low[here] = min(low[here], low[there])
                    edge[here] += 1
                continue
            if low[here] == order[here]:
                parts += 1
                while True:
                    held -= 1
                    part[waiting[held]] = parts
                    if waiting[held] == here:
                        break
            depth -= 1
    return part
