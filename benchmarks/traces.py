# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.traces``: executions and steps of a stateless search, beside the states of ours.

Partial order reduction that remembers no states (DPOR) runs at least one execution of each Mazurkiewicz trace: of each
class of executions that differ in the order of independent steps. Sleep sets run exactly one (Godefroid, Partial-Order
Methods for the Verification of Concurrent Systems, 1996), and are counted here without being run, by memory of states.
Steps are independent where they commute in that very state, which merges more than the reads and writes that DPOR sees.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial

from rich.table import Table

from benchmarks import race
from benchmarks.cpython import CPython, State
from benchmarks.engines import console
from benchmarks.models import spread
from pfncache.check.search import Search
from pfncache.designs.catalogue import mainline_7_3
from pfncache.verify.systems import make_system

SCENARIOS = 24
"""Spread evenly over the default catalogue; those that hold are shown."""
MOST_STATES = 20_000
"""States of a scenario, with reductions, beyond which counting in Python takes too long."""


@dataclass(frozen=True)
class Step:
    """A transition: an actor, and the outcome of its choice."""

    actor: int
    choice: int


@dataclass(frozen=True)
class Count:
    """What a stateless search does from a state on: complete executions, and steps, those of a common start once."""

    executions: int
    steps: int


class EndlessError(Exception):
    """An execution returns to a state: without memory, the search does not end."""


@dataclass
class Traces:
    """A system whose executions are counted up to the order of independent steps."""

    program: CPython
    initial: State
    _behind: dict[State, dict[Step, State]] = field(default_factory=dict)
    _found: dict[tuple[State, frozenset[Step]], Count] = field(default_factory=dict)
    _open: set[tuple[State, frozenset[Step]]] = field(default_factory=set)

    def count(self) -> Count:
        """Return the executions, and the steps in all. Raises EndlessError if there are infinitely many."""
        return self._count(self.initial, frozenset())

    def _count(self, state: State, asleep: frozenset[Step]) -> Count:
        key = (state, asleep)
        if key in self._found:
            return self._found[key]
        if key in self._open:
            raise EndlessError
        self._open.add(key)
        enabled = self._steps(state)
        executions, steps = (1, 0) if not enabled else (0, 0)
        sleeping = set(asleep)
        for step, after in enabled.items():
            if step in sleeping:
                continue
            below = self._count(after, frozenset(u for u in sleeping if self._independent(state, step, u)))
            executions += below.executions
            if below.executions:  # otherwise DPOR at its best does not go there
                steps += 1 + below.steps
            sleeping.add(step)
        self._open.remove(key)
        return self._found.setdefault(key, Count(executions, steps))

    def _steps(self, state: State) -> dict[Step, State]:
        """Return the enabled steps, and the state behind each."""
        if state not in self._behind:
            found = self.program.successors(state)
            self._behind[state] = {Step(actor, choice): after for actor, choice, after in found}
        return self._behind[state]

    def _independent(self, state: State, one: Step, other: Step) -> bool:
        """Whether two enabled steps of two actors lead to the same state in either order."""
        if one.actor == other.actor:
            return False
        behind = self._steps(state)
        both = self._steps(behind[one]).get(other)
        return both is not None and both == self._steps(behind[other]).get(one)


def count(search: Search) -> Count | None:
    """Return the executions of a system without violations, and the steps in all; None if they are endless."""
    initial = tuple(int(word) for word in search.initial)
    try:
        return Traces(CPython(search.program), initial).count()
    except EndlessError:
        return None


def main() -> None:
    """Print a line for each scenario."""
    sys.setrecursionlimit(100_000)
    table = Table(title="a search without memory, at its best, and ours", title_justify="left")
    for name in ("scenario", "states", "transitions", "traces", "steps", "steps a transition"):
        table.add_column(name, justify="left" if name == "scenario" else "right")
    for name in spread(SCENARIOS):
        search = race.search(partial(make_system, mainline_7_3, name), reduction=True)
        ours = search.run()
        if ours.verdict != "holds" or ours.states > MOST_STATES:
            continue
        found = count(search)
        row = ("endless", "", "")
        if found is not None:
            row = (f"{found.executions:,}", f"{found.steps:,}", f"{found.steps / max(1, ours.transitions):,.1f} x")
        table.add_row(name, f"{ours.states:,}", f"{ours.transitions:,}", *row)
    console().print(table)


if __name__ == "__main__":
    main()
