# SPDX-License-Identifier: GPL-2.0-only
"""The visited states that may lie on a fair cycle, and the steps between them, native through Numba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from pfncache.check.engine.hash_table import find
from pfncache.check.engine.interpreter import BLOCKED, OUT_CHOICES, STEPPED, counter_of, may_run, step
from pfncache.check.engine.parallel_bfs import Crew
from pfncache.check.engine.persistent_sets import clear_dead
from pfncache.check.engine.visited import Visited
from pfncache.check.program.image import FANOUT, N_ACTORS, WORDS


class Step(NamedTuple):
    """A step to the state of a number, with the actor that takes it, and how its choose() comes out."""

    after: int
    actor: int
    outcome: int


@dataclass(frozen=True)
class Graph:
    """Some states by number, and every step from one of them to another: those of state n at first[n]:first[n + 1]."""

    first: NDArray[np.int64]
    after: NDArray[np.int32]
    actor: NDArray[np.uint8]
    outcome: NDArray[np.int16]
    able: NDArray[np.uint64]
    """By state: the actors that can take a step, be it one that leads elsewhere."""

    def steps(self, n: int) -> list[Step]:
        """The steps from a state."""
        own = slice(int(self.first[n]), int(self.first[n + 1]))
        return list(map(Step, self.after[own].tolist(), self.actor[own].tolist(), self.outcome[own].tolist()))


def graph_of(visited: Visited, count: int, crew: Crew) -> tuple[Graph, NDArray[np.int64]]:
    """The graph of those of the `count` visited states that may lie on a fair cycle, and which they are, in order.

    Between two of them it has every step, also where a search for a part of the actors took only some.
    """
    program = crew.program
    endless = np.array([actor.endless for actor in program.compiled.system.actors])
    number = np.full(count, -1, dtype=np.int32)

    def room(part: int) -> tuple[Any, Any, Any, Any]:
        scratch = np.zeros(program.words, dtype=np.uint64)
        return crew.registers[part], crew.outs[part], crew.covers[part], scratch

    def mark(part: int) -> None:
        own = slice(count * part // crew.threads, count * (part + 1) // crew.threads)
        _mark(program.image, visited.states[own], program.loops, endless, *room(part), number[own])

    crew.each(mark)
    states = np.flatnonzero(number == 0)
    number[states] = np.arange(len(states))
    most = len(states) * int(program.image[FANOUT])
    graph = Graph(
        np.zeros(len(states) + 1, dtype=np.int64),
        np.empty(most, dtype=np.int32),
        np.empty(most, dtype=np.uint8),
        np.empty(most, dtype=np.int16),
        np.zeros(len(states), dtype=np.uint64),
    )
    _fill(
        program.image, visited.states, states, number, visited.table, visited.mask, *room(0),
        graph.first, graph.after, graph.actor, graph.outcome, graph.able,
    )  # fmt: skip
    return graph, states


@njit(cache=True, nogil=True)
def _mark(
    image: Any, states: Any, loops: Any, endless: Any, registers: Any, out: Any, cover: Any, scratch: Any, number: Any
) -> None:
    """Set `number` to 0 for the states that may lie on a fair cycle in which an actor that is to end does not.

    Whoever stands where it cannot come again takes no step of the cycle. A state in which it could take one is on none.
    """
    for n in range(len(number)):
        goes_round = open_ones = False
        for actor in range(image[N_ACTORS]):
            counter = counter_of(image, states[n], actor)
            goes_round |= loops[actor, counter] != 0
            open_ones |= counter != 0 and not endless[actor]
        if not (goes_round and open_ones):
            continue
        number[n] = 0
        for actor in range(image[N_ACTORS]):
            if loops[actor, counter_of(image, states[n], actor)] == 0 and may_run(image, states[n], actor):
                scratch[:] = states[n]
                if step(image, scratch, registers, out, cover, actor, 0) == STEPPED:
                    number[n] = -1
                    break


@njit(cache=True, nogil=True)
def _fill(
    image: Any,
    states: Any,
    chosen: Any,
    number: Any,
    table: Any,
    mask: int,
    registers: Any,
    out: Any,
    cover: Any,
    scratch: Any,
    first: Any,
    after: Any,
    mover: Any,
    outcome: Any,
    able: Any,
) -> None:
    """Fill the arrays of a graph of the `chosen` states; `number` says which number each visited state has there."""
    edges = 0
    for n in range(len(chosen)):
        for actor in range(image[N_ACTORS]):
            if not may_run(image, states[chosen[n]], actor):
                continue
            choice = 0
            choices = 1
            while choice < choices:
                scratch[:] = states[chosen[n]]
                result = step(image, scratch, registers, out, cover, actor, choice)
                if result == BLOCKED:
                    break
                choices = out[OUT_CHOICES]
                if result == STEPPED:
                    able[n] |= uint64(1) << uint64(actor)
                    clear_dead(image, scratch)
                    found = find(states, table, mask, scratch, image[WORDS])
                    if found >= 0 and number[found] >= 0:
                        after[edges] = number[found]
                        mover[edges] = actor
                        outcome[edges] = choice
                        edges += 1
                choice += 1
        first[n + 1] = edges
