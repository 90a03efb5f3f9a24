# SPDX-License-Identifier: GPL-2.0-only
"""Reductions change the number of states, not what is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfncache.check import shortest
from pfncache.check.result import SearchResult
from pfncache.check.search import Search
from pfncache.check.shortest import SHORTEST_MIN_STATES, search_shortest
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.outcome import AT_REST, Outcome
from pfncache.verify.runner import run
from tests.check import toys

STATES = 2_000_000
TOO_LARGE = ("collapse/clock-and-migrate", "fork/clock-and-child", "fork/clock-and-migrate")
"""Scenarios that have more states than that without reductions."""
HARMLESS = {"zap-private-only"}
"""Designs that change nothing in a VM without TDX."""
PARTS = 4
ROOMS = sorted(
    {name.split("/")[0] if not name.startswith("clock/") else name.rsplit("/", 1)[0] for name in DEFAULT_SCENARIOS}
)
Function = Callable[..., Any]


VIOLATED = (
    "private/faults", "gmem/failure-and-punch", "livelock/slot-update", "gmem/bind-and-punch", "clock/memfd/map-over",
    "gpc/activate-twice", "clock/pfnmap/map-over", "gpc/activate-munmap", "xen/shared-info-set", "clock/gmem-ndm/punch",
    "clock/gmem-unmapped/slot-replace", "gmem/activate-and-close", "mm/fault-and-map", "gmem/recreate-then-punch",
    "gmem/dying-file", "gmem/recreate-then-close",
)  # fmt: skip
"""The smallest scenarios that rfc-v4 violates after more than a few steps; it violates most of the others at once."""


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize(
    "design", ["mainline-7.3", *(pytest.param(name, marks=pytest.mark.whole) for name in ("rfc-v4", "rfc-v4-fixed"))]
)
def test_verdicts_agree_without_reduction(design: str, room: str) -> None:
    """For every default scenario: the verdict, and every violation with its actor, its place and its calls."""
    names = [name for name in DEFAULT_SCENARIOS if name.startswith(f"{room}/") and name not in TOO_LARGE]
    assert names
    for name in names:
        require_same(design, name)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_violated_scenarios_agree_without_reduction(part: int) -> None:
    """The same for each design that is there for one scenario, and for a series that violates many."""
    jobs = [(design.name, design.shown_by) for design in DESIGNS.values() if design.shown_by]
    jobs += [("rfc-v4", name) for name in VIOLATED]
    assert len(jobs) >= 30
    for design, name in jobs[part::PARTS]:
        expected = "holds" if design in HARMLESS else "violated"
        assert require_same(design, name).verdict == expected, (design, name)


def require_same(design: str, name: str) -> Outcome:
    """Search a scenario with and without reductions. Returns the outcome with them."""
    reduced, whole = (run(Job(DESIGNS[design], name, STATES, reduction)) for reduction in (True, False))
    assert (reduced.verdict, places_of(reduced)) == (whole.verdict, places_of(whole)), (design, name)
    assert reduced.is_complete, (design, name)
    assert reduced.states <= whole.states, (design, name)
    return reduced


def places_of(outcome: Outcome) -> set[tuple[object, ...]]:
    """Return what tells the violations apart. A reduction may find another cycle of the same livelock, and
    other values at the end."""
    return {v.key[:1] if v.property == "livelock" or AT_REST in v.reason else v.identity for v in outcome.violations}


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
    toys.update_downgraded,
    toys.read_shared,
    toys.lock_and_semaphore,
    toys.downgrade_and_lock,
]
"""Locks in both orders and by trylock, blocking, spinning, freeing, choices, failures that some orders reach."""


random_systems = given(
    actors=st.lists(st.lists(st.sampled_from(PALETTE), min_size=1, max_size=3), min_size=2, max_size=3),
    at_end=st.sampled_from([None, toys.count_is_two, toys.lock_is_free]),
    interrupts=st.booleans(),
    endless=st.sets(st.integers(0, 2), max_size=1),
)


@settings(max_examples=50, deadline=None, derandomize=True)
@random_systems
def test_violations_of_random_systems_agree(
    actors: list[list[Function]], at_end: Function | None, interrupts: bool, endless: set[int]
) -> None:
    check_random_system(actors, at_end, interrupts, endless)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, derandomize=True)
@random_systems
def test_violations_of_more_random_systems_agree(
    actors: list[list[Function]], at_end: Function | None, interrupts: bool, endless: set[int]
) -> None:
    check_random_system(actors, at_end, interrupts, endless)


def check_random_system(
    actors: list[list[Function]], at_end: Function | None, interrupts: bool, endless: set[int]
) -> None:
    """The same violations, at the same places. Each is replayed through the source: a spurious one fails the test.

    Steps that no other actor can see are one step with the reduction, so that a loop of these is an endless step. It is
    a livelock, whatever the other actors do; without the reduction it is none if each of them violates a property.
    """
    _, whole = toys.search_lists(actors, at_end, False, interrupts, endless=endless)
    searching, reduced = toys.search_lists(actors, at_end, True, interrupts, endless=endless)
    steps = {(found.property, "") for found in reduced.found if "loops forever" in found.detail}
    assert keys(reduced) - steps == keys(whole) - steps
    assert (reduced.verdict == whole.verdict) or steps
    assert reduced.states <= whole.states
    for found in reduced.found:
        ending = toys.replayed(searching, found).ending if found.is_shown else None
        assert (ending is not None) == (found.failure is not None)
        assert ending is None or ending.kind == found.property


def keys(result: SearchResult) -> set[tuple[str, object]]:
    """Return the violated properties with their places; a livelock's is left out, as there may be several cycles."""
    return {(found.property, "" if found.property == "livelock" else found.place) for found in result.found}


def both(*functions: Function, **options: Any) -> tuple[SearchResult, SearchResult]:
    """Return the results without and with reductions."""
    return toys.search(*functions, reduction=False, **options)[1], toys.search(*functions, **options)[1]


def places(*functions: Function) -> list[str]:
    """Return the functions of the preemption points of the first actor."""
    events = toys.program(*[[function] for function in functions]).events[0]
    return [event.stack[-1].function.removesuffix("_locked") for event in events if event is not None]


def test_actors_that_share_nothing_run_one_after_the_other() -> None:
    """Three reads and three writes: 7 places each. The actors share nothing: their steps are one sequence."""
    whole, reduced = both(toys.count_up, toys.values_up, at_end=toys.lock_is_free)
    assert (whole.states, whole.transitions) == (49, 84)
    assert (reduced.verdict, reduced.states, reduced.transitions) == ("holds", 3, 2)


def test_the_cycle_proviso() -> None:
    """The spin alone is a persistent set, but its step leads back: the other actor must not be ignored."""
    actors = [[toys.spin_until_flag], [toys.allocate, toys.free, toys.use]]
    _, whole = toys.search_lists(actors, reduction=False)
    _, reduced = toys.search_lists(actors)
    assert whole.property == reduced.property == "use-after-free"


def test_states_that_differ_in_dead_variables_are_one() -> None:
    """Three outcomes, of which no actor reads any."""
    whole, reduced = both(toys.roll)
    assert (whole.states, reduced.states) == (4, 2)
    whole, reduced = both(toys.roll, at_end=toys.count_is_two)
    assert whole.property == reduced.property == "lost"


def test_a_symmetric_outcome_is_left_out() -> None:
    whole, reduced = both(toys.roll_alike, at_end=toys.lock_is_free)
    assert (whole.states, whole.transitions, reduced.transitions) == (4, 3, 2)


def test_a_lock_is_taken_together_with_what_comes_next() -> None:
    """A reader without the lock sees half of the update. The acquisition of the lock is no state of its own."""
    whole, reduced = both(toys.update_locked, toys.read_unlocked)
    assert whole.property == reduced.property == "torn"
    assert places(toys.update_locked, toys.read_unlocked, toys.increment_locked) == [
        "mutex_lock",
        "mutex_lock",
        *["update"] * 2,
    ]


def test_a_lock_that_others_try_is_taken_alone() -> None:
    """A trylock in between can see the acquisition, so that the first write under the lock stays a step of its own."""
    found = places(toys.update_locked, toys.read_unlocked, toys.try_lock)
    assert found == ["mutex_lock"] * 2 + ["update"] * 3 + ["mutex_lock"]


def test_a_downgrade_is_no_step_of_its_own() -> None:
    """No other actor can take the lock before it. Then readers come in, as after a release, and writers do not."""
    assert places(toys.update_downgraded, toys.read_shared) == ["down_write"] * 2
    whole, reduced = both(toys.update_downgraded, toys.update_downgraded, toys.read_shared)
    assert (whole.verdict, reduced.verdict) == ("holds", "holds")
    whole, reduced = both(toys.update_downgraded, toys.read_unlocked)
    assert whole.property == reduced.property == "torn"


def test_a_downgrade_with_another_lock_in_both_orders() -> None:
    """Readers do not exclude each other; a writer that comes between them does."""
    whole, reduced = both(toys.lock_and_semaphore, toys.downgrade_and_lock, toys.update_downgraded)
    assert keys(whole) == keys(reduced)


def test_an_interrupt_that_waits_for_the_actor_that_it_interrupts_is_a_deadlock() -> None:
    """The holder of a lock can be interrupted: the reduction must not merge its steps up to the unlock."""
    whole, reduced = both(toys.increment_locked, toys.increment_locked, interrupts=True)
    assert whole.property == reduced.property == "deadlock"
    whole, reduced = both(toys.increment_locked, toys.try_lock, interrupts=True)
    assert (whole.verdict, reduced.verdict) == ("holds", "holds")


def test_a_shortest_trace_is_searched_for() -> None:
    """A search with persistent sets may take steps first that the violation does not depend on."""
    program = toys.program([toys.count_up], [toys.allocate, toys.free, toys.use])
    first = Search(program).run()
    assert (first.property, len(first.found[0].path)) == ("use-after-free", 2)
    _, result = search_shortest(program, SHORTEST_MIN_STATES)
    assert (result.property, len(result.found[0].path)) == ("use-after-free", 1)
    assert result.states == first.states


def test_the_search_for_a_shortest_trace_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound, the first trace stands."""
    monkeypatch.setattr(shortest, "SHORTEST_MIN_STATES", 1)
    monkeypatch.setattr(shortest, "SHORTEST_FACTOR", 0)
    searching, result = search_shortest(
        toys.program([toys.count_up], [toys.allocate, toys.free, toys.use]), SHORTEST_MIN_STATES
    )
    assert (result.property, len(result.found[0].path)) == ("use-after-free", 2)
    assert searching.program.has_masks


def test_an_environment_actor_has_a_step_in_every_loop() -> None:
    """It spins on what no other actor accesses. Merged into one step, that would be an endless step."""
    actors: list[list[Function]] = [[toys.turn, toys.spin_until_flag], [toys.return_from_guard]]
    _, whole = toys.search_lists(actors, reduction=False, endless={0})
    _, reduced = toys.search_lists(actors, endless={0})
    assert (whole.verdict, reduced.verdict) == ("holds", "holds")
    assert reduced.states < whole.states == 33
