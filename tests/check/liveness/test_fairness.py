# SPDX-License-Identifier: GPL-2.0-only
"""Fair cycles: in graphs, against the definition; and in small systems, with endless actors and without."""

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
"""From which state, to which one, by whose step."""


def graph(size: int, edges: Edges, away: Collection[tuple[int, int]] = ()) -> Graph:
    """A graph; `away` has the steps that lead out of it: from which state, and whose."""
    rows = sorted(edges)
    able = np.zeros(size, dtype=np.uint64)
    for n, actor in [*((n, actor) for n, _, actor in rows), *away]:
        able[n] |= np.uint64(1 << actor)
    return Graph(
        np.searchsorted([n for n, _, _ in rows], range(size + 1)).astype(np.int64),
        np.array([after for _, after, _ in rows], dtype=np.int32),
        np.array([actor for _, _, actor in rows], dtype=np.uint8),
        np.zeros(len(rows), dtype=np.int16),
        able,
    )


@pytest.mark.parametrize(
    ("size", "edges", "away", "fair"),
    [
        (1, [(0, 0, 0)], [], [0]),
        (1, [(0, 0, 0)], [(0, 1)], []),
        (1, [(0, 0, 0), (0, 0, 1)], [], [0]),
        (2, [(0, 1, 0), (1, 0, 0)], [], [0, 1]),
        (2, [(0, 1, 0), (1, 0, 0)], [(1, 1)], []),
        # Of three states in a row, the last one is not fair, and without it the first two are.
        (3, [(0, 1, 0), (1, 0, 0), (1, 2, 0), (2, 1, 0)], [(2, 1)], [0, 1]),
        # Here the second one is what holds them together.
        (3, [(0, 1, 0), (1, 2, 0), (2, 0, 0)], [(1, 1)], []),
        # Without the state that is not fair, nobody moves as the first actor, which is able.
        (3, [(0, 1, 0), (1, 0, 1), (0, 2, 0), (2, 0, 0)], [(1, 2)], [0, 2]),
        (3, [(0, 1, 0), (1, 0, 0), (0, 2, 1), (2, 0, 1)], [(2, 2)], []),
        # The first of two.
        (4, [(0, 1, 0), (1, 0, 0), (1, 2, 0), (2, 3, 0), (3, 2, 0)], [], [0, 1]),
    ],
)
def test_graphs(size: int, edges: Edges, away: Collection[tuple[int, int]], fair: list[int]) -> None:
    assert fair_states(graph(size, edges, away)).tolist() == fair


def is_fair(made: Graph, states: tuple[int, ...]) -> bool:
    """By definition: some states that all lead to each other, where who is able moves."""
    steps = [(n, step) for n in states for step in made.edges(n) if step.after in states]
    reached = {n: {n} for n in states}
    for _ in states:
        for n, step in steps:
            reached[n] |= reached[step.after]
    able = np.bitwise_or.reduce(made.enabled[list(states)])
    moves = sum(1 << actor for actor in {step.actor for _, step in steps})
    return bool(steps) and all(reached[n] == set(states) for n in states) and able == moves


def test_against_the_definition() -> None:
    """Of 400 random graphs of five states, whether there is a fair cycle; and what is found is one."""
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
    assert result.loop is not None
    assert (result.loop, len(result.path) - result.loop) == (stem, loop)
    assert toys.replayed(searching, result).ending is None


def test_who_never_ends_is_named() -> None:
    """By the innermost function that is not left; an endless actor is not meant to end."""
    _, result = toys.search(left_steps_aside, right_steps_aside, blink, endless=(2,))
    assert result.detail == (
        "starvation under a strongly fair scheduler: "
        "a0 never returns from step_aside(), a1 never returns from step_aside()"
    )


@pytest.mark.parametrize("reduction", [True, False])
@pytest.mark.parametrize(
    ("functions", "endless"),
    [
        # Nobody keeps the one from its step that the other waits for.
        ((spin_until_flag, toys.set_flag), ()),
        # It gets the lock, since it can get it again and again.
        ((spin_until_flag_locked, set_flag_locked), ()),
        ((toys.increment_locked, set_flag_locked), (1,)),
        ((increment, blink), (1,)),
        # The flag is up again and again.
        ((wait_for_flag, blink), (1,)),
        ((blink,), (0,)),
    ],
)
def test_everybody_ends_who_can(functions: Any, endless: Collection[int], reduction: bool) -> None:
    _, result = toys.search(*functions, endless=endless, reduction=reduction)
    assert (result.verdict, result.property) == ("holds", None)


def test_an_endless_actor_goes_round() -> None:
    """It has two places and the flag two values; the other one is before its step, or has ended."""
    _, result = toys.search(increment, blink, endless=(1,), reduction=False)
    assert (result.verdict, result.states) == ("holds", 12)


def test_an_endless_actor_that_cannot_go_on_is_a_deadlock() -> None:
    _, result = toys.search(increment, wait_for_flag, endless=(1,), reduction=False)
    assert (result.property, len(result.path)) == ("deadlock", 2)


def test_what_is_asked_at_the_end_is_not_asked_of_an_endless_system() -> None:
    _, result = toys.search(increment, blink, endless=(1,), at_end=toys.count_is_two)
    assert result.verdict == "holds"


def test_a_sequence_wraps_beside_an_endless_actor() -> None:
    """Before a read and before a write, with three values; alone, what four bumps have made of it is four."""
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
        replay.run(result.path, result.loop)
        changes = [str(c) for moment in replay.moments for c in moment.changes if c.name == "sequence"]
    finally:
        replay.finish()
    assert changes == [f"box.sequence: {n} -> {n + 1}" for n in range(3)]


def test_what_needs_a_wrapped_sequence_does_not_replay() -> None:
    """Three bumps later, it looks as if there had been none."""
    searching, result = toys.search(miss_changes, bump_and_tell, endless=(1,))
    assert result.property == "unseen"
    with pytest.raises(Divergence, match="passed 1 preemption points"):
        toys.replayed(searching, result)


def test_a_loop_that_only_a_wrapped_sequence_closes_does_not_replay() -> None:
    """Whoever looks after each third bump sees no change; the second time round the source does."""
    searching, result = toys.search(wait_for_change, bump, endless=(1,))
    assert (result.property, result.loop) == ("livelock", 1)
    with pytest.raises(Divergence, match="a0 has ended in one form only"):
        toys.replayed(searching, result)


def wait_for_change(shared: toys.Box) -> None:
    before = shared.sequence
    while shared.sequence == before:
        pass


def bump_and_tell(shared: toys.Box) -> None:
    shared.flag = True
    shared.sequence += 1
    shared.cells[0].value = 1


def miss_changes(shared: toys.Box) -> None:
    """Complain when there was a change that the sequence does not show."""
    before = shared.sequence
    if not shared.flag and shared.cells[0].value == 1 and shared.sequence == before:
        report("unseen", "the sequence is what it was")


SYSTEMS: list[tuple[tuple[Callable[..., Any], ...], tuple[int, ...]]] = [
    ((spin_until_flag, toys.set_flag), ()),
    ((left_steps_aside, right_steps_aside), ()),
    ((spin_while_flag, blink, increment), (1,)),
    ((toys.increment_locked, spin_until_flag_locked), (1,)),
]


def finds(searching: Search) -> tuple[str | None, int | None, int]:
    result = searching.run()
    return result.property, result.loop, len(result.path)


@pytest.mark.parametrize(("functions", "endless"), SYSTEMS)
def test_states_that_are_left_out_at_once_lie_on_no_fair_cycle(functions: Any, endless: Collection[int]) -> None:
    program = link(compile_system(toys.system(*functions, endless=endless)))
    found = finds(Search(program))
    program.loops[:] = 1
    assert finds(Search(program)) == found


@pytest.mark.parametrize("name", ["livelock/unrelated-memory", "clock/anon/munmap", "mm/two-advices"])
def test_so_it_is_in_scenarios(name: str) -> None:
    program = link(compile_system(make_system(DESIGNS["mainline-7.3"], name)))
    found = finds(Search(program))
    program.loops[:] = 1
    assert finds(Search(program)) == found
