# SPDX-License-Identifier: GPL-2.0-only
"""Strongly fair cycles: every actor enabled in a state of the cycle takes a step of it. Native through Numba.

An execution under a strongly fair scheduler, in which every actor that is enabled infinitely often takes infinitely
many steps, may repeat such a cycle forever. Where there is none, every execution under one ends, since the number of
states is finite.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.numba_cache import allocating_njit, uint64
from pfncache.check.liveness.graph import Graph


def fair_states(graph: Graph) -> NDArray[np.int64]:
    """Return a strongly connected set of states in which every actor that is enabled in one of them takes a step.

    Of several such sets, the one with the lowest state; empty if there is none. Streett's decomposition: remove from a
    strongly connected component the states in which an actor is enabled that takes no step within the component, and
    decompose the rest again.
    """
    inside = np.ones(len(graph.enabled), dtype=np.bool_)
    while inside.any():
        component = _components(graph, inside)
        if not _remove_unfair(graph, component, inside):
            return np.flatnonzero(component == component[inside.argmax()])
    return np.empty(0, dtype=np.int64)


@allocating_njit
def _remove_unfair(graph: Graph, component: NDArray[np.int32], inside: NDArray[np.bool_]) -> bool:
    """Remove from `inside` the states where an actor is enabled that takes no step within the component.

    A component without a step is removed, too. Returns whether any state was.
    """
    first, after = graph.first, graph.after
    moves = np.zeros(len(component) + 1, dtype=np.uint64)
    for n in range(len(component)):
        if inside[n]:
            for edge in range(first[n], first[n + 1]):
                if component[after[edge]] == component[n]:
                    moves[component[n]] |= uint64(1) << uint64(graph.actor[edge])
    found = False
    for n in range(len(component)):
        if inside[n] and (not moves[component[n]] or graph.enabled[n] & ~moves[component[n]]):
            inside[n] = False
            found = True
    return found


@allocating_njit
def _components(graph: Graph, inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return for each state that is `inside` the number, from 1, of its strongly connected component; 0 for all others.

    Tarjan's algorithm, with a stack of its own instead of recursion.
    """
    first, after = graph.first, graph.after
    size = len(inside)
    component = np.zeros(size, dtype=np.int32)
    order = np.zeros(size, dtype=np.int32)  # in which states were discovered, from 1
    low = np.zeros(size, dtype=np.int32)
    edge = first[:-1].copy()  # the next edge of each state to follow
    stack = np.empty(size, dtype=np.int32)  # discovered, and not yet in a component
    trail = np.empty(size, dtype=np.int32)  # the path of the depth-first search
    found = held = components = 0
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
                stack[held] = here
                held += 1
            if edge[here] < first[here + 1]:
                there = after[edge[here]]
                if not inside[there] or component[there]:
                    edge[here] += 1
                elif not order[there]:
                    depth += 1
                    trail[depth] = there
                else:  # a back edge, or the return from a child
                    low[here] = min(low[here], low[there])
                    edge[here] += 1
                continue
            if low[here] == order[here]:
                components += 1
                while True:
                    held -= 1
                    component[stack[held]] = components
                    if stack[held] == here:
                        break
            depth -= 1
    return component
