# SPDX-License-Identifier: GPL-2.0-only
"""Reductions change how much is searched, not what is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfncache.check import search
from pfncache.check.search import SHORTEST_MIN_STATES, Search, SearchResult, search_shortest
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.runner import Job, run
from tests.check import toys

STATES = 2_000_000
ROOMS = sorted(
    {name.split("/")[0] if not name.startswith("clock/") else name.rsplit("/", 1)[0] for name in DEFAULT_SCENARIOS}
)
Function = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("design", ["mainline-7.3", "rfc-v4", "rfc-v4-fixed"])
def test_verdicts_agree_without_reduction(design: str, room: str) -> None:
    """Every scenario of the catalogue: the verdict and the property that is violated first."""
    searched = 0
    for name in DEFAULT_SCENARIOS:
        if name.startswith(f"{room}/"):
            reduced = run(Job(DESIGNS[design], name, STATES))
            whole = run(Job(DESIGNS[design], name, STATES, reduction=False))
            assert (reduced.verdict, reduced.property) == (whole.verdict, whole.property), name
            assert reduced.verdict != "bounded", name
            assert reduced.states <= whole.states, name
            searched += 1
    assert searched


PALETTE: list[Function] = [
    toys.turn,
    toys.turn_locked,
    toys.turn_with_both_locks,
    toys.lock_the_other_way_round,
    toys.release_what_is_free,
    toys.wait_for_flag,
    toys.wait_for_count,
    toys.set_flag,
    toys.spin_until_flag,
    toys.allocate,
    toys.free,
    toys.use,
    toys.follow,
    toys.index_by_count,
    toys.roll,
    toys.return_from_guard,
    toys.take_both_cells,
    toys.try_lock,
    toys.update_locked,
    toys.read_unlocked,
]
"""Locks in both orders and by trylock, waiting, spinning, freeing, choosing, and what only some orders reach."""


@pytest.mark.slow
@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    actors=st.lists(st.lists(st.sampled_from(PALETTE), min_size=1, max_size=3), min_size=2, max_size=3),
    at_end=st.sampled_from([None, toys.count_is_two, toys.lock_is_free]),
    interrupts=st.booleans(),
    endless=st.sets(st.integers(0, 2), max_size=1),
)
def test_verdicts_of_random_systems_agree(
    actors: list[list[Function]], at_end: Function | None, interrupts: bool, endless: set[int]
) -> None:
    """What is violated is replayed through the source, so that a wrong violation fails too."""
    _, whole = toys.search_lists(actors, at_end, False, interrupts, endless=endless)
    searching, reduced = toys.search_lists(actors, at_end, True, interrupts, endless=endless)
    assert reduced.verdict == whole.verdict
    assert reduced.states <= whole.states or reduced.verdict == "violated"
    ending = toys.replayed(searching, reduced).ending
    if reduced.property not in (None, "deadlock", "livelock", "lock-order"):
        assert ending is not None
        assert ending.kind == reduced.property


def both(*functions: Function, **options: Any) -> tuple[SearchResult, SearchResult]:
    """Without, and with reductions."""
    return toys.search(*functions, reduction=False, **options)[1], toys.search(*functions, **options)[1]


def places(*functions: Function) -> list[str]:
    """The functions in which the first actor can be preempted, place by place."""
    events = toys.program(*[[function] for function in functions]).events[0]
    return [event.stack[-1].function.removesuffix("_locked") for event in events if event is not None]


def test_actors_that_share_nothing_run_one_after_the_other() -> None:
    """Three reads and three writes: 7 places each. One shares nothing with the other: its steps are a line."""
    whole, reduced = both(toys.count_up, toys.values_up, at_end=toys.lock_is_free)
    assert (whole.states, whole.transitions) == (49, 84)
    assert (reduced.verdict, reduced.states, reduced.transitions) == ("holds", 3, 2)


def test_a_spin_puts_nothing_off_for_ever() -> None:
    """Nobody touches what the spin does, so it may go first; but that leads back, and the other must go on."""
    actors = [[toys.spin_until_flag], [toys.allocate, toys.free, toys.use]]
    _, whole = toys.search_lists(actors, reduction=False)
    _, reduced = toys.search_lists(actors)
    assert whole.property == reduced.property == "use-after-free"


def test_what_is_overwritten_before_it_is_read_is_one_state() -> None:
    """Three outcomes, of which nobody reads any."""
    whole, reduced = both(toys.roll)
    assert (whole.states, reduced.states) == (4, 2)
    whole, reduced = both(toys.roll, at_end=toys.count_is_two)
    assert whole.property == reduced.property == "lost"


def test_an_outcome_like_another_is_left_out() -> None:
    whole, reduced = both(toys.roll_alike, at_end=toys.lock_is_free)
    assert (whole.states, whole.transitions, reduced.transitions) == (4, 3, 2)


def test_a_lock_is_taken_together_with_what_comes_next() -> None:
    """Somebody reads without the lock in the midst of the update. That the lock is taken is no state of its own."""
    whole, reduced = both(toys.update_locked, toys.read_unlocked)
    assert whole.property == reduced.property == "torn"
    assert places(toys.update_locked, toys.read_unlocked, toys.increment_locked) == ["lock", "lock", *["update"] * 2]


def test_a_lock_that_others_try_is_taken_alone() -> None:
    """Who tries in between notices, so that the first write under the lock stays a step of its own."""
    assert places(toys.update_locked, toys.read_unlocked, toys.try_lock) == ["lock", "lock", *["update"] * 3, "mutex"]


def test_an_interrupt_that_waits_for_whom_it_interrupts_is_a_deadlock() -> None:
    """Whoever holds a lock can be interrupted there, and must not let it go as if nothing could come between."""
    whole, reduced = both(toys.increment_locked, toys.increment_locked, interrupts=True)
    assert whole.property == reduced.property == "deadlock"
    whole, reduced = both(toys.increment_locked, toys.try_lock, interrupts=True)
    assert (whole.verdict, reduced.verdict) == ("holds", "holds")


def test_a_shortest_way_is_found_again() -> None:
    """The search of a part of the actors may do steps first that a violation does not need."""
    program = toys.program([toys.count_up], [toys.allocate, toys.free, toys.use])
    first = Search(program).run()
    assert (first.property, len(first.path)) == ("use-after-free", 2)
    searching, result = search_shortest(program, SHORTEST_MIN_STATES)
    assert (result.property, len(result.path)) == ("use-after-free", 1)
    assert not searching.program.has_masks


def test_a_way_that_is_too_far_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the first one that was found is shown."""
    monkeypatch.setattr(search, "SHORTEST_MIN_STATES", 1)
    monkeypatch.setattr(search, "SHORTEST_FACTOR", 0)
    searching, result = search_shortest(
        toys.program([toys.count_up], [toys.allocate, toys.free, toys.use]), SHORTEST_MIN_STATES
    )
    assert (result.property, len(result.path)) == ("use-after-free", 2)
    assert searching.program.has_masks


def test_who_never_ends_has_a_step_in_every_loop() -> None:
    """It spins on what nobody else touches. Merged into one step, that would be a step without an end."""
    actors: list[list[Function]] = [[toys.turn, toys.spin_until_flag], [toys.return_from_guard]]
    _, whole = toys.search_lists(actors, reduction=False, endless={0})
    _, reduced = toys.search_lists(actors, endless={0})
    assert (whole.verdict, reduced.verdict) == ("holds", "holds")
    assert reduced.states < whole.states == 33
