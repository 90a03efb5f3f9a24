# SPDX-License-Identifier: GPL-2.0-only
"""A livelock as a lasso: steps that lead to a loop, and the loop, which is fair and never left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pfncache.check.path import Choice

State = NDArray[np.uint64]
Steps = Callable[[State], list[tuple[Choice, State]]]
"""Every step that can be taken from a state, and the state after it."""
MOST = 20_000
"""States after the stem that are looked at for a loop."""


@dataclass
class _Graph:
    """What can be reached from a state."""

    steps: list[list[tuple[Choice, int]]] = field(default_factory=list)
    """By number of a state, the first being 0: each step, and the number of the state after it."""

    def path(self, start: int, wanted: Callable[[int], bool]) -> list[tuple[Choice, int]] | None:
        """The fewest steps from `start` to a state that is wanted; None when no steps lead to one."""
        came: dict[int, tuple[int, Choice] | None] = {start: None}
        todo = [start]
        for number in todo:
            if wanted(number):
                return _way_back(came, number)[::-1]
            for choice, after in self.steps[number]:
                if after not in came:
                    came[after] = (number, choice)
                    todo.append(after)
        return None

    def beyond(self, start: int) -> set[int]:
        """The states that steps from `start` lead to, itself among them."""
        return _closure(start, [[after for _, after in steps] for steps in self.steps])

    def before(self, end: int) -> set[int]:
        """The states from which steps lead to `end`, itself among them."""
        before: list[list[int]] = [[] for _ in self.steps]
        for number, steps in enumerate(self.steps):
            for _, after in steps:
                before[after].append(number)
        return _closure(end, before)


def _way_back(came: dict[int, tuple[int, Choice] | None], end: int) -> list[tuple[Choice, int]]:
    found = []
    at = end
    while (before := came[at]) is not None:
        found.append((before[1], at))
        at = before[0]
    return found


def _closure(start: int, neighbours: list[list[int]]) -> set[int]:
    seen = {start}
    todo = [start]
    for number in todo:
        new = set(neighbours[number]) - seen
        seen |= new
        todo.extend(new)
    return seen


def lasso(steps: Steps, state: State) -> tuple[list[Choice], list[Choice]] | None:
    """Steps from `state`, from which nothing ends, to a loop; and the loop. None when more than MOST states follow.

    The loop lies where every state can be reached from every other and nothing leads away, and takes a step of each
    actor that can take one anywhere there. So no scheduler that is fair to all actors, be it only to those that can
    run again and again, helps any of them out.
    """
    graph = _explore(steps, state)
    if graph is None:
        return None
    home, inside = 0, graph.beyond(0)
    while away := inside - graph.before(home):  # each turn leaves states behind for good
        home = min(away)
        inside = graph.beyond(home)
    stem = graph.path(0, home.__eq__)
    assert stem is not None
    loop: list[Choice] = []
    at = home
    for actor in sorted({choice.actor for n in inside for choice, _ in graph.steps[n]}):
        if any(choice.actor == actor for choice in loop):
            continue
        able = {n for n in inside if any(choice.actor == actor for choice, _ in graph.steps[n])}
        way = graph.path(at, able.__contains__)
        assert way is not None
        at = way[-1][1] if way else at
        step = next(step for step in graph.steps[at] if step[0].actor == actor)
        loop += [choice for choice, _ in (*way, step)]
        at = step[1]
    back = graph.path(at, home.__eq__)
    assert back is not None
    return [choice for choice, _ in stem], [*loop, *(choice for choice, _ in back)]


def _explore(steps: Steps, state: State) -> _Graph | None:
    graph = _Graph()
    numbers = {state.tobytes(): 0}
    todo = [state]
    for here in todo:
        found = []
        for choice, after in steps(here):
            number = numbers.setdefault(after.tobytes(), len(numbers))
            if number == len(todo):
                todo.append(after)
            found.append((choice, number))
        graph.steps.append(found)
        if len(todo) > MOST:
            return None
    return graph
