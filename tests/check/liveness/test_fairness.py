# SPDX-License-Identifier: GPL-2.0-only
"""Strongly fair cycles: in graphs, against the definition; in small systems, with and without environment actors."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.liveness.fairness import fair_states
from pfncache.check.liveness.graph import Graph
from pfncache.check.program.layout import link
from pfncache.check.replay import Divergence, Replay
from pfncache.check.search import Search
from pfncache.designs.catalogue import DESIGNS
from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.verify.systems import make_system
from tests.check import toys
from tests.check.toys import (
    blink,
    bump,
    increment,
    left_steps_aside,
    look_twice,
    right_steps_aside,
    set_flag_locked,
    spin_until_flag,
    spin_until_flag_locked,
    spin_while_flag,
    wait_for_flag,
)

Edges = Collection[tuple[int, int, int]]
"""(from state, to state, actor)."""


def graph(size: int, edges: Edges, away: Collection[tuple[int, int]] = ()) -> Graph:
    """Return a graph; `away` has the transitions that leave it: (from state, actor)."""
    rows = sorted(edges)
    enabled = np.zeros(size, dtype=np.uint64)
    for n, actor in [*((n, actor) for n, _, actor in rows), *away]:
        enabled[n] |= np.uint64(1 << actor)
    return Graph(
        np.searchsorted([n for n, _, _ in rows], range(size + 1)).astype(np.int64),
        np.array([after for _, after, _ in rows], dtype=np.int32),
        np.array([actor for _, _, actor in rows], dtype=np.uint8),
        np.zeros(len(rows), dtype=np.int16),
        enabled,
    )


@pytest.mark.parametrize(
    ("size", "edges", "away", "fair"),
    [
        (1, [(0, 0, 0)], [], [0]),
        (1, [(0, 0, 0)], [(0, 1)], []),
        (1, [(0, 0, 0), (0, 0, 1)], [], [0]),
        (2, [(0, 1, 0), (1, 0, 0)], [], [0, 1]),
        (2, [(0, 1, 0), (1, 0, 0)], [(1, 1)], []),
        # State 2 is removed: actor 1 is enabled there. States 0 and 1 are fair without it.
        (3, [(0, 1, 0), (1, 0, 0), (1, 2, 0), (2, 1, 0)], [(2, 1)], [0, 1]),
        # Without state 1, the others are not strongly connected.
        (3, [(0, 1, 0), (1, 2, 0), (2, 0, 0)], [(1, 1)], []),
        # Without state 1, states 0 and 2 are a component of their own.
        (3, [(0, 1, 0), (1, 0, 1), (0, 2, 0), (2, 0, 0)], [(1, 2)], [0, 2]),
        # Without state 2, actor 1 takes no step in the component, but is enabled in state 0.
        (3, [(0, 1, 0), (1, 0, 0), (0, 2, 1), (2, 0, 1)], [(2, 2)], []),
        # Two fair sets: the one with the lowest state.
        (4, [(0, 1, 0), (1, 0, 0), (1, 2, 0), (2, 3, 0), (3, 2, 0)], [], [0, 1]),
    ],
)
def test_graphs(size: int, edges: Edges, away: Collection[tuple[int, int]], fair: list[int]) -> None:
    assert fair_states(graph(size, edges, away)).tolist() == fair


def is_fair(made: Graph, states: tuple[int, ...]) -> bool:
    """The definition: strongly connected, and every actor that is enabled in a state takes a step within the set."""
    steps = [(n, step) for n in states for step in made.edges(n) if step.after in states]
    reached = {n: {n} for n in states}
    for _ in states:
        for n, step in steps:
            reached[n] |= reached[step.after]
    enabled = np.bitwise_or.reduce(made.enabled[list(states)])
    moves = sum(1 << actor for actor in {step.actor for _, step in steps})
    return bool(steps) and all(reached[n] == set(states) for n in states) and enabled == moves


def test_against_the_definition() -> None:
    """400 random graphs of five states: a fair set is found if and only if there is one, and it is fair."""
    generator = random.Random(1)
    found = 0
    for _ in range(400):
        edges = {(generator.randrange(5), generator.randrange(5), generator.randrange(3)) for _ in range(7)}
        away = {(generator.randrange(5), generator.randrange(3)) for _ in range(generator.randrange(4))}
        made = graph(5, edges, away)
        fair = tuple(fair_states(made).tolist())
        sets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size) if is_fair(made, s)]
        assert bool(fair) == bool(sets)
        if fair:
            assert fair in sets
            found += 1
    assert 100 <= found <= 300


@pytest.mark.parametrize("reduction", [True, False])
@pytest.mark.parametrize(
    ("functions", "endless", "stem", "loop"),
    [
        # Both have raised their hands, and lower them when they see the other's: fair, though each could end.
        ((left_steps_aside, right_steps_aside), (), 2, 6),
        # Up, a look, down; up and down are a read and a write each.
        ((spin_while_flag, blink), (1,), 0, 5),
        ((spin_while_flag, blink, toys.roll), (1,), 1, 5),
        # The first read; then three bumps, and in between a look that finds the sequence changed, and a read.
        ((look_twice, bump), (1,), 1, 8),
    ],
)
def test_livelock(functions: Any, endless: Collection[int], stem: int, loop: int, reduction: bool) -> None:
    searching, result = toys.search(*functions, endless=endless, reduction=reduction)
    assert (result.verdict, result.property) == ("violated", "livelock")
    assert result.found[0].loop is not None
    assert (result.found[0].loop, len(result.found[0].path) - result.found[0].loop) == (stem, loop)
    assert toys.replayed(searching, result.found[0]).ending is None


def test_the_reason_names_starved_actors() -> None:
    """Each with the innermost function that it never returns from; an environment actor does not starve."""
    _, result = toys.search(left_steps_aside, right_steps_aside, blink, endless=(2,))
    assert result.found[0].detail == (
        "starvation under a strongly fair scheduler: "
        "a0 never returns from step_aside(), a1 never returns from step_aside()"
    )


@pytest.mark.parametrize("reduction", [True, False])
@pytest.mark.parametrize(
    ("functions", "endless"),
    [
        # Fairness lets the setter of the flag run.
        ((spin_until_flag, toys.set_flag), ()),
        # The lock is free infinitely often, so a strongly fair scheduler lets the other actor take it.
        ((spin_until_flag_locked, set_flag_locked), ()),
        ((toys.increment_locked, set_flag_locked), (1,)),
        ((increment, blink), (1,)),
        # The flag is set infinitely often.
        ((wait_for_flag, blink), (1,)),
        ((blink,), (0,)),
    ],
)
def test_every_actor_ends_under_fairness(functions: Any, endless: Collection[int], reduction: bool) -> None:
    _, result = toys.search(*functions, endless=endless, reduction=reduction)
    assert (result.verdict, result.property) == ("holds", None)


def test_states_beside_an_environment_actor() -> None:
    """It has two places and the flag two values; the other actor is before its step, or has ended."""
    _, result = toys.search(increment, blink, endless=(1,), reduction=False)
    assert (result.verdict, result.states) == ("holds", 12)


def test_a_blocked_environment_actor_is_a_deadlock() -> None:
    _, result = toys.search(increment, wait_for_flag, endless=(1,), reduction=False)
    assert (result.property, len(result.found[0].path)) == ("deadlock", 2)


def test_a_system_that_never_ends_has_no_check_at_the_end() -> None:
    _, result = toys.search(increment, blink, endless=(1,), at_end=toys.count_is_two)
    assert result.verdict == "holds"


def test_a_sequence_count_wraps_beside_an_environment_actor() -> None:
    """Two places and a count modulo three: 6 states. Without an environment actor four bumps count to four."""
    _, result = toys.search(bump, endless=(0,), reduction=False)
    assert (result.verdict, result.states) == ("holds", 6)
    _, result = toys.search(bump_four_times, at_end=sequence_is_four, reduction=False)
    assert (result.verdict, result.states) == ("holds", 9)


def bump_four_times(shared: toys.Box) -> None:
    for _ in range(4):
        shared.sequence += 1


@atomic
def sequence_is_four(shared: toys.Box) -> None:
    if shared.sequence != 4:
        report("lost", f"the sequence is {shared.sequence}")


def test_the_replayed_source_does_not_wrap() -> None:
    searching, result = toys.search(look_twice, bump, endless=(1,))
    replay = Replay(searching)
    try:
        replay.run(result.found[0])
        changes = [str(c) for moment in replay.moments for c in moment.changes if c.name == "sequence"]
    finally:
        replay.finish()
    assert changes == [f"box.sequence: {n} -> {n + 1}" for n in range(3)]


def test_a_violation_that_needs_a_wrapped_count_does_not_replay() -> None:
    """After three bumps the compiled form has the count of before."""
    searching, result = toys.search(miss_changes, bump_and_tell, endless=(1,))
    assert result.property == "unseen"
    with pytest.raises(Divergence, match="passed 1 preemption points"):
        toys.replayed(searching, result.found[0])


def test_a_loop_that_only_a_wrapped_count_closes_does_not_replay() -> None:
    """A read after each third bump sees no change in the compiled form; in the source, the second one does."""
    searching, result = toys.search(wait_for_change, bump, endless=(1,))
    assert (result.property, result.found[0].loop) == ("livelock", 1)
    with pytest.raises(Divergence, match="a0 has ended in one form only"):
        toys.replayed(searching, result.found[0])


def wait_for_change(shared: toys.Box) -> None:
    before = shared.sequence
    while shared.sequence == before:
        pass


def bump_and_tell(shared: toys.Box) -> None:
    shared.flag = True
    shared.sequence += 1
    shared.cells[0].value = 1


def miss_changes(shared: toys.Box) -> None:
    """Report a change that the sequence count does not show."""
    before = shared.sequence
    if not shared.flag and shared.cells[0].value == 1 and shared.sequence == before:
        report("unseen", "the sequence is what it was")


SYSTEMS: list[tuple[tuple[Callable[..., Any], ...], tuple[int, ...]]] = [
    ((spin_until_flag, toys.set_flag), ()),
    ((left_steps_aside, right_steps_aside), ()),
    ((spin_while_flag, blink, increment), (1,)),
    ((toys.increment_locked, spin_until_flag_locked), (1,)),
]


def finds(searching: Search) -> list[tuple[str, int | None, int]]:
    return [(found.property, found.loop, len(found.path)) for found in searching.run().found]


@pytest.mark.parametrize(("functions", "endless"), SYSTEMS)
def test_states_outside_of_the_graph_lie_on_no_fair_cycle(functions: Any, endless: Collection[int]) -> None:
    program = link(compile_system(toys.system(*functions, endless=endless)))
    found = finds(Search(program))
    program.loops[:] = 1
    assert finds(Search(program)) == found


@pytest.mark.parametrize("name", ["livelock/unrelated-memory", "clock/anon/munmap", "mm/two-advices"])
def test_states_outside_of_the_graph_lie_on_no_fair_cycle_in_scenarios(name: str) -> None:
    program = link(compile_system(make_system(DESIGNS["mainline-7.3"], name)))
    found = finds(Search(program))
    program.loops[:] = 1
    assert finds(Search(program)) == found
