# SPDX-License-Identifier: GPL-2.0-only
"""Final states are all that a search without reductions finds, with what operations have returned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings

from pfncache.check.compile.compiler import compile_system
from pfncache.check.final_states import FinalStates, named, shared
from pfncache.check.program.layout import link
from pfncache.check.search import Search
from pfncache.check.system import Call, System
from tests.check import toys
from tests.check.engine.test_persistent_sets import random_systems

Function = Callable[..., Any]


def searched(system: System, reduction: bool = True, final: bool = True) -> FinalStates:
    searching = Search(link(compile_system(system), reduction, final), 100_000)
    searching.run()
    return FinalStates.of(searching)


def of(*functions: Function, names: tuple[str, ...], **options: bool) -> set[tuple[Any, ...]]:
    return set(searched(toys.system(*functions).with_results(), **options).values(names))


@settings(max_examples=60, deadline=None, derandomize=True)
@random_systems
def test_reductions_lose_no_final_state(
    actors: list[list[Function]], at_end: Function | None, interrupts: bool, endless: set[int]
) -> None:
    check(actors, at_end, interrupts, endless)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, derandomize=True)
@random_systems
def test_reductions_lose_no_final_state_of_more_systems(
    actors: list[list[Function]], at_end: Function | None, interrupts: bool, endless: set[int]
) -> None:
    check(actors, at_end, interrupts, endless)


def check(actors: list[list[Function]], at_end: Function | None, interrupts: bool, endless: set[int]) -> None:
    made = [toys.system_of(actors, at_end, interrupts, endless).with_results() for _ in range(2)]
    reduced, whole = searched(made[0]), searched(made[1], reduction=False)
    names = shared(reduced, whole)
    assert set(names) == set(named(whole.program.compiled.heap)) & whole.varying()
    assert reduced.values(names) == whole.values(names)


def test_a_variable_that_nobody_reads_is_a_part_of_a_final_state() -> None:
    """The search for violations merges the three outcomes."""
    assert of(toys.roll, names=("box.count",)) == {(0,), (1,), (2,)}
    assert len(of(toys.roll, names=("box.count",), final=False)) == 1


def test_a_lost_update() -> None:
    names = ("box.count",)
    assert of(toys.increment, toys.increment, names=names) == {(1,), (2,)}
    assert of(toys.increment_locked, toys.increment_locked, names=names) == {(2,)}


def test_what_a_path_to_a_violation_leads_to_is_none() -> None:
    """The thing is freed before it is used, or not there yet; a use after the free has no successor."""
    found = of(toys.allocate, toys.free, toys.use, names=("thing0.slab_state", "thing0.value"))
    assert found == {(1, 3), (1, 4), (2, 3), (2, 4)}


def test_a_deadlock_is_no_final_state() -> None:
    assert of(toys.first_then_other, toys.other_then_first, names=("box.count", "box.lock.held")) == {(2, 0)}
    assert of(toys.first_twice, names=("box.count",)) == set()


def test_a_record_has_its_name() -> None:
    found = of(toys.allocate, toys.blink, names=("box.thing", "box.sequence", "box.flag"))
    assert found == {("thing0", 0, 1)}


def count(shared: toys.Box) -> int:
    shared.count += 1
    return shared.count


def is_set(shared: toys.Box) -> bool:
    return shared.flag


def cell(shared: toys.Box) -> toys.Cell:
    return shared.cells[shared.count]


def test_what_an_operation_returns_is_a_part_of_a_final_state() -> None:
    found = of(is_set, toys.set_flag, names=("a0: is_set().returned", "box.flag"))
    assert found == {(0, 1), (1, 1)}
    system = toys.system_of([[count, count], [toys.increment]]).with_results()
    names = ("a0: count().returned", "box.count")
    assert searched(system).values(names) == searched(system, reduction=False).values(names)
    assert {result for result, _ in searched(system).values(names)} == {1, 2, 3}


def add(shared: toys.Box, number: int) -> int:
    shared.count += number
    return number


def test_operations_with_other_arguments_have_a_result_each() -> None:
    made = toys.system(toys.set_flag)
    (actor,) = made.actors
    (shared_box,) = actor.calls[0].args
    calls = (Call(add, (shared_box, 1)), Call(add, (shared_box, 2)), Call(add, (shared_box, 1)))
    system = replace(made, actors=(replace(actor, calls=calls),)).with_results()
    names = [name for name in searched(system).varying() if "add" in name]
    assert sorted(names) == ["a0: add() 2.returned", "a0: add().returned"]
    assert searched(system).values(sorted(names)) == {(2, 1)}


def test_what_is_no_number_is_no_result() -> None:
    system = toys.system(cell, toys.set_flag).with_results()
    assert "a0: cell().returned" not in searched(system).varying()
    assert "a1: set_flag().returned" not in searched(system).varying()


def test_a_replay_has_the_results_too() -> None:
    system = toys.system_of([[count], [toys.increment]], at_end=toys.count_is_two).with_results()
    searching = Search(link(compile_system(system), final=True), 1000)
    (found,) = searching.run().found
    ending = toys.replayed(searching, found).ending
    assert ending is not None
    assert ending.kind == "lost"


def test_the_variables_that_two_systems_share() -> None:
    """One that a single system writes has the initial value in the other; one that neither writes is left out."""
    first, second = searched(toys.system(toys.increment)), searched(toys.system(toys.set_flag))
    names = shared(first, second)
    assert names == ["box.count", "box.flag"]
    assert first.values(names) == {(1, 0)}
    assert second.values(names) == {(0, 1)}
    assert "box.sequence" in named(first.program.compiled.heap)


def test_a_variable_that_starts_differently_is_compared() -> None:
    system = toys.system(toys.set_flag)
    system.actors[0].calls[0].args[0].sequence = 2
    first, second = searched(toys.system(toys.set_flag)), searched(system)
    assert shared(first, second) == ["box.flag", "box.sequence"]
    assert first.values(["box.sequence"]) == {(0,)}
    assert second.values(["box.sequence"]) == {(2,)}
