# SPDX-License-Identifier: GPL-2.0-only
"""The graph of those visited states that may lie on a strongly fair cycle, native through Numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.bfs import SearchWorker
from pfncache.check.engine.collapse import load
from pfncache.check.engine.hash_table import StateSpace, find
from pfncache.check.engine.interpreter import BLOCKED, OUT_CHOICES, STEPPED, counter_of, may_run
from pfncache.check.engine.native.take import take
from pfncache.check.engine.numba_cache import int64, njit, uint64
from pfncache.check.engine.parallel_bfs import WorkerPool
from pfncache.check.engine.persistent_sets import clear_dead
from pfncache.check.program.image import COUNTER_END, COUNTER_HALTED, FANOUT, N_ACTORS


class Edge(NamedTuple):
    """A transition: the number of the state that it leads to, its actor, and the outcome of its choose()."""

    after: int
    actor: int
    outcome: int


class Graph(NamedTuple):
    """States by number, and all transitions between them: those of state n are first[n]:first[n + 1]."""

    first: NDArray[np.int64]
    after: NDArray[np.int32]
    actor: NDArray[np.uint8]
    outcome: NDArray[np.int16]
    enabled: NDArray[np.uint64]
    """By state: bit mask of the actors with a transition, be it one that leaves the graph, or violates a property."""

    def edges(self, n: int) -> list[Edge]:
        """The transitions of a state."""
        own = slice(int(self.first[n]), int(self.first[n + 1]))
        return list(map(Edge, self.after[own].tolist(), self.actor[own].tolist(), self.outcome[own].tolist()))


def graph_of(space: StateSpace, count: int, pool: WorkerPool) -> tuple[Graph, NDArray[np.int64]]:
    """Return the graph of those of the `count` states that may lie on a fair cycle, and their numbers in the space.

    It has every transition between two of them, also where the search took only those of a persistent set.
    """
    program = pool.program
    environment = np.array([actor.endless for actor in program.compiled.system.actors])
    number = np.full(count, -1, dtype=np.int32)

    def mark(t: int) -> None:
        begin, end = count * t // pool.threads, count * (t + 1) // pool.threads
        _mark(space, pool.workers[t], begin, program.loops, environment, number[begin:end])

    pool.each(mark)
    states = np.flatnonzero(number == 0)
    number[states] = np.arange(len(states))
    most = len(states) * int(program.image[FANOUT])
    graph = Graph(
        first=np.zeros(len(states) + 1, dtype=np.int64),
        after=np.empty(most, dtype=np.int32),
        actor=np.empty(most, dtype=np.uint8),
        outcome=np.empty(most, dtype=np.int16),
        enabled=np.zeros(len(states), dtype=np.uint64),
    )
    _fill(space, pool.workers[0], states, number, graph)
    return graph, states


@njit
def _mark(
    space: StateSpace,
    worker: SearchWorker,
    begin: int,
    loops: NDArray[np.uint8],
    environment: NDArray[np.bool_],
    number: NDArray[np.int32],
) -> None:
    """Set `number` to 0 for those states from `begin` on that may lie on a fair cycle in which an actor starves.

    Necessary for such a cycle: an actor is in a loop, and an actor that is no environment actor has not ended. An actor
    outside of loops takes no step of a cycle, so no cycle has a state in which such an actor is enabled. Nor has a fair
    cycle a state with a halted actor, whose next step violates: a fair scheduler takes that step.
    """
    image, state, after = worker.image, worker.state, worker.after
    for n in range(len(number)):
        load(space.records, uint64(begin + n), state)
        repeats = unfinished = halted = False
        for actor in range(image[N_ACTORS]):
            counter = counter_of(image, state, actor)
            repeats |= loops[actor, counter] != 0
            unfinished |= counter != COUNTER_END and not environment[actor]
            halted |= counter == COUNTER_HALTED
        if halted or not (repeats and unfinished):
            continue
        number[n] = 0
        for actor in range(image[N_ACTORS]):
            if loops[actor, counter_of(image, state, actor)] == 0 and may_run(image, state, actor):
                if take(worker, state, after, actor, int64(0)) != BLOCKED:
                    number[n] = -1
                    break


@njit
def _fill(
    space: StateSpace, worker: SearchWorker, chosen: NDArray[np.int64], number: NDArray[np.int32], graph: Graph
) -> None:
    """Fill the graph of the `chosen` states; `number` maps a state of the space to its number in the graph, or -1."""
    image, out, state, after = worker.image, worker.out, worker.state, worker.after
    edges = 0
    for n in range(len(chosen)):
        load(space.records, uint64(chosen[n]), state)
        for actor in range(image[N_ACTORS]):
            if not may_run(image, state, actor):
                continue
            choice = int64(0)
            choices = int64(1)
            while choice < choices:
                result = take(worker, state, after, actor, choice)
                if result == BLOCKED:
                    break
                choices = out[OUT_CHOICES]
                graph.enabled[n] |= uint64(1) << uint64(actor)
                if result == STEPPED:
                    clear_dead(image, after)
                    found = find(space, after)
                    if found >= 0 and number[found] >= 0:
                        graph.after[edges] = number[found]
                        graph.actor[edges] = actor
                        graph.outcome[edges] = choice
                        edges += 1
                choice += 1
        graph.first[n + 1] = edges
