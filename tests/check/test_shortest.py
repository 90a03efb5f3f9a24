# SPDX-License-Identifier: GPL-2.0-only
"""Every violation is found, also behind and beside others, each with a shortest path; with and without reductions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from pfncache.check import shortest
from pfncache.check.compile.compiler import compile_system
from pfncache.check.program.layout import link
from pfncache.check.result import Found, SearchResult
from pfncache.check.search import Search
from pfncache.check.shortest import search_shortest
from pfncache.lang.atomic import atomic
from pfncache.lang.choose import choose
from pfncache.lang.report import report
from pfncache.linux.kernel.locking.mutex import mutex
from tests.check import toys

pytestmark = pytest.mark.parametrize("reduction", [True, False])


def show_and_fail(shared: toys.Box) -> None:
    """Set the flag, then violate a property with an access that no other actor can see."""
    shared.flag = True
    shared.cells[1].value = 1
    report("own", "after the flag")


def fail_if_flag(shared: toys.Box) -> None:
    if shared.flag:
        report("other", "the flag is seen")


def fail_alone(shared: toys.Box) -> None:
    """Violate a property in a step that depends on nothing."""
    shared.cells[0].value = 1
    report("alone", "after a write")


def fail_locked(shared: toys.Box) -> None:
    with mutex(shared.lock):
        shared.count = 1
        report("locked", "under the lock")


def fail_before_flag(shared: toys.Box) -> None:
    """Set the flag behind a violation: no actor ever sees it."""
    report("early", "before any access")
    shared.flag = True


def fail_once_begun(shared: toys.Box) -> None:
    shared.count = 1
    report("late", "after an access")


def fail_in_two_places(shared: toys.Box) -> None:
    shared.count = 1
    if shared.flag:
        report("twice", "with the flag")
    shared.cells[0].value = 1
    report("twice", "without")


@atomic
def fail_by_value(shared: toys.Box) -> None:
    """Violate one property behind one preemption point, in two places."""
    if shared.flag:
        report("twice", "with the flag")
    report("twice", "without")


@atomic
def fail_by_choice(shared: toys.Box) -> None:
    shared.count = choose(3)
    if shared.count == 1:
        report("chosen", "the second outcome")


def found_by(
    *functions: Callable[..., Any], reduction: bool, at_end: Callable[..., Any] | None = None, first: bool = False
) -> SearchResult:
    """Search, and replay what is found."""
    system = toys.system(*functions, at_end=at_end)
    searching, result = search_shortest(link(compile_system(system), reduction), 100_000, first=first)
    for found in result.found:
        ending = toys.replayed(searching, found).ending if found.is_shown else None
        assert (ending is not None) == (found.failure is not None)
        assert ending is None or ending.kind == found.property
    return result


@pytest.mark.parametrize(
    ("functions", "properties"),
    [
        # The step that fails is merged with the one before, but another actor may come between the two.
        ((show_and_fail, fail_if_flag), {"own", "other"}),
        # What depends on nothing is a persistent set, but leads nowhere: the other actor must not be ignored.
        ((fail_alone, toys.follow), {"alone", "null-dereference"}),
        ((fail_alone, fail_if_flag, toys.set_flag), {"alone", "other"}),
        # Before its first preemption point, an actor stops no other.
        ((fail_before_flag, toys.follow), {"early", "null-dereference"}),
        # What is cut off is no deadlock and no livelock: but for the violation, the actor would go on.
        ((fail_locked, toys.turn_locked), {"locked"}),
        ((fail_once_begun, toys.wait_for_flag), {"late"}),
        ((fail_before_flag, toys.spin_until_flag), {"early"}),
        ((fail_once_begun, toys.spin_until_flag), {"late"}),
        # All kinds beside each other.
        ((fail_by_choice, toys.first_then_other, toys.other_then_first), {"chosen", "deadlock", "lock-order"}),
        ((fail_by_choice, toys.spin_until_flag), {"chosen", "livelock"}),
        # One actor takes the lock, another one drops it: its holder's unlock fails, wherever it is.
        ((toys.release_what_is_free, toys.turn_locked), {"lock-imbalance"}),
    ],
)
def test_properties(functions: tuple[Callable[..., Any], ...], properties: Collection[str], reduction: bool) -> None:
    assert set(found_by(*functions, reduction=reduction).properties) == properties


def test_places(reduction: bool) -> None:
    """One property at two places is violated twice."""
    result = found_by(fail_in_two_places, toys.set_flag, reduction=reduction)
    assert [found.property for found in result.found] == ["twice", "twice"]
    assert len({found.key for found in result.found}) == 2
    result = found_by(toys.release_what_is_free, toys.turn_locked, reduction=reduction)
    assert len({found.key for found in result.found}) == 2


def test_two_places_behind_one_preemption_point(reduction: bool) -> None:
    result = found_by(fail_by_value, toys.set_flag, reduction=reduction)
    assert (result.properties, len(result.found)) == (("twice",), 2)


def test_two_actors_at_one_place(reduction: bool) -> None:
    """The second one has the longer path, and is no more the first one's than another place is."""
    result = found_by(fail_once_begun, fail_once_begun, reduction=reduction)
    assert [(found.property, found.path[-1].actor) for found in result.found] == [("late", 0), ("late", 1)]


def test_an_end_state_and_a_step(reduction: bool) -> None:
    result = found_by(toys.increment, fail_by_choice, at_end=toys.count_is_two, reduction=reduction)
    assert set(result.properties) == {"chosen", "lost"}
    assert result.reason == ""


def test_the_first_one_alone(reduction: bool) -> None:
    result = found_by(show_and_fail, fail_if_flag, reduction=reduction, first=True)
    assert (result.verdict, len(result.found)) == ("violated", 1)
    assert result.reason == "stopped at the first violation"
    result = found_by(fail_before_flag, toys.follow, reduction=reduction, first=True)
    assert (result.properties, result.reason) == (("early",), "stopped at the first violation")


def test_each_path_is_a_shortest_one(reduction: bool) -> None:
    """The length of each is that of a search that expands every actor."""
    functions = (toys.count_up, toys.allocate, toys.free, toys.use, fail_by_choice)
    program = link(compile_system(toys.system(*functions, at_end=toys.count_is_two)), reduction)
    _, result = search_shortest(program, 200_000)
    whole = Search(program.without_masks()).run()
    assert lengths(result.found) == lengths(whole.found)
    assert len(result.found) >= 3


def lengths(found: Collection[Found]) -> dict[tuple[str, object], float]:
    return {one.key: one.length for one in found}


def test_a_bounded_search_that_found_something(reduction: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is violated, and says what it was bounded by."""
    monkeypatch.setattr(shortest, "SHORTEST_MIN_STATES", 300)
    functions = (fail_alone, *[toys.increment] * 5)
    _, result = search_shortest(link(compile_system(toys.system(*functions)), reduction), 300)
    assert (result.verdict, result.properties, result.reason) == ("violated", ("alone",), "the limit of 300 states")
