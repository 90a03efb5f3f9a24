# SPDX-License-Identifier: GPL-2.0-only
"""The loop of a livelock, which is shown as a lasso: the steps that lead to a fair loop, and the loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pfncache.check.liveness.graph import Graph, Step
from pfncache.check.path import Choice


def loop_of(graph: Graph, fair: NDArray[np.int64]) -> list[Choice]:
    """Steps from the first of the `fair` states back to it that stay among them, and are of every actor that can move.

    Each next actor's is the nearest; that keeps the loop short, if not the shortest.
    """
    inside = set(fair.tolist())
    missing = {step.actor for n in inside for step in graph.steps(n) if step.after in inside}
    home = at = int(fair[0])
    loop: list[Step] = []
    while missing:
        loop += _way(graph, at, inside, lambda step: step.actor in missing)
        missing.difference_update(step.actor for step in loop)
        at = loop[-1].after
    if at != home:
        loop += _way(graph, at, inside, lambda step: step.after == home)
    return [Choice(step.actor, step.outcome) for step in loop]


def _way(graph: Graph, start: int, inside: set[int], wanted: Callable[[Step], bool]) -> list[Step]:
    """The fewest steps from `start` of which the last is wanted."""
    came: dict[int, tuple[int, Step]] = {}
    todo = [start]
    for n in todo:
        for step in graph.steps(n):
            if step.after not in inside:
                continue
            if wanted(step):
                return [*_way_back(came, start, n)[::-1], step]
            if step.after not in came:
                came[step.after] = n, step
                todo.append(step.after)
    raise AssertionError("the states are not connected")


def _way_back(came: dict[int, tuple[int, Step]], start: int, at: int) -> list[Step]:
    way = []
    while at != start:
        at, step = came[at]
        way.append(step)
    return way
