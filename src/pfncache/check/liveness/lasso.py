# SPDX-License-Identifier: GPL-2.0-only
"""The lasso of a livelock: a path to a strongly fair cycle (the stem), and the cycle (the loop)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pfncache.check.liveness.graph import Edge, Graph
from pfncache.check.path import Choice


def loop_of(graph: Graph, fair: NDArray[np.int64]) -> list[Choice]:
    """Return a cycle within the `fair` states, from the first of them, with a step of every actor that has one there.

    Built greedily: always on to the nearest step of an actor that has none yet. Short, if not the shortest.
    """
    inside = set(fair.tolist())
    missing = {edge.actor for n in inside for edge in graph.edges(n) if edge.after in inside}
    home = at = int(fair[0])
    loop: list[Edge] = []
    while missing:
        loop += _shortest_path(graph, at, inside, lambda edge: edge.actor in missing)
        missing.difference_update(edge.actor for edge in loop)
        at = loop[-1].after
    if at != home:
        loop += _shortest_path(graph, at, inside, lambda edge: edge.after == home)
    return [Choice(edge.actor, edge.outcome) for edge in loop]


def _shortest_path(graph: Graph, start: int, inside: set[int], is_last: Callable[[Edge], bool]) -> list[Edge]:
    """Return the fewest edges from `start` of which the last fulfils `is_last`."""
    parents: dict[int, tuple[int, Edge]] = {}
    queue = [start]
    for n in queue:
        for edge in graph.edges(n):
            if edge.after not in inside:
                continue
            if is_last(edge):
                return [*_path_back(parents, start, n)[::-1], edge]
            if edge.after not in parents:
                parents[edge.after] = n, edge
                queue.append(edge.after)
    raise AssertionError("the states are not strongly connected")


def _path_back(parents: dict[int, tuple[int, Edge]], start: int, at: int) -> list[Edge]:
    path = []
    while at != start:
        at, edge = parents[at]
        path.append(edge)
    return path
