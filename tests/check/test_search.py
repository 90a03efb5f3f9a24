# SPDX-License-Identifier: GPL-2.0-only
"""Searches of small systems: exact numbers of states and transitions, and every verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.report import report
from tests.check import toys


def test_two_increments_lose_one() -> None:
    """Each actor reads and writes: 3 places and what it read. The lost update needs four steps."""
    searching, result = toys.search(toys.increment, toys.increment, at_end=toys.count_is_two, reduction=False)
    assert (result.verdict, result.property) == ("violated", "lost")
    assert len(result.found[0].path) == 4
    assert toys.replayed(searching, result.found[0]).ending is not None
    assert toys.replayed(searching, result.found[0]).ending.detail == "count is 1"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reduction", "states", "transitions"),
    # Without reduction an actor has six places: might_sleep(), acquire, read, write, unlock, end. Of the 6 x 6 pairs
    # with their 60 steps, the 3 x 3 in which both hold the lock cannot be, nor the 24 steps that touch them.
    # With it, the actor that takes the lock runs to its end in one step. The first steps, which the other actor cannot
    # see, come one after the other: 2 states before both stand at the lock, 1 there, 2 with one ended, 1 at the end.
    [(False, 27, 36), (True, 6, 6)],
)
def test_locked_increments_hold(reduction: bool, states: int, transitions: int) -> None:
    _, result = toys.search(toys.increment_locked, toys.increment_locked, at_end=toys.count_is_two, reduction=reduction)
    assert (result.verdict, result.states, result.transitions) == ("holds", states, transitions)


@pytest.mark.parametrize("reduction", [True, False])
@pytest.mark.parametrize(
    ("functions", "kind"),
    [
        ((toys.first_then_other, toys.other_then_first), "deadlock"),
        ((toys.first_then_other, toys.first_then_other), None),
        ((toys.first_twice,), "deadlock"),
        ((toys.wait_for_flag,), "deadlock"),
        ((toys.wait_for_flag, toys.set_flag), None),
        ((toys.spin_until_flag,), "livelock"),
        ((toys.spin_until_flag, toys.set_flag), None),
        ((toys.release_what_is_free,), "lock-imbalance"),
        ((toys.allocate, toys.use), None),
        ((toys.allocate, toys.use, toys.free), "use-after-free"),
        ((toys.allocate, toys.free, toys.free), "use-after-free"),
        ((toys.follow,), "null-dereference"),
        ((toys.roll, toys.index_by_count), "out-of-bounds"),
        ((toys.increment, toys.index_by_count), None),
        ((toys.index_below,), "out-of-bounds"),
    ],
)
def test_verdict(functions: tuple[Any, ...], kind: str | None, reduction: bool) -> None:
    searching, result = toys.search(*functions, reduction=reduction)
    assert result.property == kind
    if kind not in (None, "deadlock", "livelock"):
        ending = toys.replayed(searching, result.found[0]).ending
        assert ending is not None
        assert ending.kind == kind


def test_lock_order_of_two_that_never_meet() -> None:
    """One actor takes both orders, one after the other: no deadlock is reachable, lockdep objects anyway."""
    _, result = toys.search(both_orders)
    assert result.property == "lock-order"
    assert "Box.lock -> Box.other" in result.found[0].detail
    assert "Box.other -> Box.lock" in result.found[0].detail


def both_orders(shared: toys.Box) -> None:
    toys.first_then_other(shared)
    toys.other_then_first(shared)


def test_first_trace_is_a_shortest_one() -> None:
    _, result = toys.search(toys.increment, toys.increment, toys.increment, at_end=toys.count_is_two)
    assert result.property == "lost"
    assert len(result.found[0].path) == 6  # with three actors, no schedule ends before each has read and written


def test_choose_takes_every_outcome() -> None:
    searching, result = toys.search(toys.roll, reduction=False)
    assert (result.states, result.transitions) == (4, 3)
    counts = {c.outcome for c in searching.enabled(searching.initial)}
    assert counts == {0, 1, 2}


def test_interrupt_runs_to_its_end() -> None:
    """An interrupt may come at any point of the actor on its CPU, which does not continue before the interrupt ends."""
    _, together = toys.search(toys.increment, toys.increment, reduction=False)
    _, nested = toys.search(toys.increment, toys.increment, reduction=False, interrupts=True)
    assert nested.verdict == "holds"
    assert nested.states < together.states


def test_limit_of_states_is_bounded() -> None:
    _, result = toys.search(*[toys.increment] * 6, reduction=False, max_states=1000)
    assert result.verdict == "bounded"
    assert result.reason == "the limit of 1,000 states"
    assert 0 < result.states <= 1000


def test_value_without_room_bounds_the_search() -> None:
    _, result = toys.search(toys.leave_room)
    assert result.verdict == "bounded"
    assert result.reason == "a value out of the range of its type: box.count"


@pytest.mark.parametrize(
    "actors", [(toys.leave_room, toys.release_what_is_free), (toys.release_what_is_free, toys.leave_room)]
)
def test_value_without_room_hides_no_violation(actors: tuple[Callable[[toys.Box], None], ...]) -> None:
    _, result = toys.search(*actors)
    assert (result.verdict, result.properties) == ("violated", ("lock-imbalance",))
    assert result.reason == "a value out of the range of its type: box.count"


@pytest.mark.parametrize("reduction", [True, False])
def test_guards_end_on_every_way_out(reduction: bool) -> None:
    _, result = toys.search(
        toys.return_from_guard, toys.return_from_guard, at_end=toys.lock_is_free, reduction=reduction
    )
    assert result.verdict == "holds"


def count_to_four_thousand(shared: toys.Box) -> None:
    """A long loop that touches nothing shared, but ends."""
    number = 0
    shared.count = 1
    while number < 4000:
        number += 1
    shared.count = 2


def count_too_far(shared: toys.Box) -> None:
    """The same, of more instructions than a step may have."""
    number = 0
    shared.count = 1
    while number < 1_000_000:
        number += 1


def turn_forever(shared: toys.Box) -> None:
    """A loop through three values."""
    number = 0
    shared.count = 1
    while number < 3:
        number = (number + 1) % 3


@pytest.mark.parametrize("reduction", [True, False])
def test_a_long_step_that_ends_is_no_livelock(reduction: bool) -> None:
    _, result = toys.search(count_to_four_thousand, toys.increment, reduction=reduction)
    assert (result.verdict, result.reason) == ("holds", "")


@pytest.mark.parametrize("reduction", [True, False])
def test_a_step_beyond_the_limit_is_bounded(reduction: bool) -> None:
    """The rest is searched."""
    _, result = toys.search(count_too_far, toys.follow, reduction=reduction)
    line = count_too_far.__code__.co_firstlineno + 3
    assert (result.verdict, result.properties) == ("violated", ("null-dereference",))
    assert result.reason == f"a step of more than 1,000,000 instructions at test_search.py:{line}"
    _, result = toys.search(count_too_far, reduction=reduction)
    assert result.verdict == "bounded"


@pytest.mark.parametrize("reduction", [True, False])
def test_a_step_that_repeats_itself_is_a_livelock(reduction: bool) -> None:
    _, result = toys.search(turn_forever, reduction=reduction)
    assert (result.verdict, result.properties, result.reason) == ("violated", ("livelock",), "")
    assert result.found[0].detail == (
        "a0 loops forever after turn_forever(), without an access that other actors can see"
    )


def test_a_deadlock_names_who_is_interrupted() -> None:
    _, result = toys.search_lists([[toys.increment], [toys.turn, toys.wait_for_flag]], interrupts=True)
    assert [found.detail for found in result.found] == [
        "no actor can take a step: a0 is interrupted, a1",
        "no actor can take a step: a1",
    ]


def test_a_check_at_the_end_that_does_not_end() -> None:
    def spin(shared: toys.Box) -> None:
        while shared.count == 1:
            pass

    searching, result = toys.search(toys.increment, at_end=spin)
    (found,) = result.found
    assert (found.property, found.detail) == ("livelock", "the check when all is done loops forever")
    assert toys.replayed(searching, found).ending is None


@pytest.mark.parametrize("leaks", [True, False])
def test_a_check_at_the_end_that_blocks(leaks: bool) -> None:
    """A lock that an actor leaves locked blocks the check at the end."""

    @atomic
    def wait(shared: toys.Box) -> None:
        block_until(not shared.flag)

    def lock(shared: toys.Box) -> None:
        shared.flag = True
        shared.flag = leaks

    searching, result = toys.search(lock, at_end=wait)
    assert result.property == ("deadlock" if leaks else None)
    if leaks:
        ending = toys.replayed(searching, result.found[0]).ending
        assert ending is not None
        assert (ending.kind, ending.detail.endswith("would block forever when all is done")) == ("deadlock", True)


def test_the_check_at_the_end_changes_nothing() -> None:
    """It may write what actors take for constants, also in a loop that reads it first."""

    def count(shared: toys.Box) -> None:
        while shared.cells[0].value < 3:
            shared.cells[0].value += 1
        if shared.cells[0].value + shared.count != 4:
            report("wrong", "the loop was compiled for the initial value")

    def read(shared: toys.Box) -> None:
        shared.count += 1 if shared.cells[0].value == 0 else 2

    _, result = toys.search(read, at_end=count, reduction=False)
    assert (result.verdict, result.states) == ("holds", 3)
    assert result.found == ()


def test_path_to_is_a_shortest_one_to_a_place() -> None:
    """The second actor stands at its second step once it has taken the first. No path leads to what is not there."""
    searching, _ = toys.whole(toys.system(toys.increment, toys.increment))
    counters = [number for number, event in enumerate(searching.program.events[1]) if event is not None]
    path = searching.path_to([set(), {counters[1]}])
    assert path is not None
    assert [choice.actor for choice in path] == [1, 1]
    assert searching.path_to([set(), {max(counters) + 1}]) is None
    assert searching.path_to([set(), set()]) is None
