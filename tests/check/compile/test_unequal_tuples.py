# SPDX-License-Identifier: GPL-2.0-only
"""A tuple that is embedded in one of several records, for some of which it is shorter than for others."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.program.layout import link
from pfncache.check.search import Search
from pfncache.check.system import Actor, Call, System
from pfncache.lang.atomic import atomic
from pfncache.lang.choose import choose
from pfncache.lang.records import Count, Record
from pfncache.lang.report import report
from pfncache.linux.include.linux.sched import TaskStruct
from tests.check.test_replay import random_walk
from tests.check.toys import Cell, Kernel

WIDTHS = (0, 3, 1)
"""Length of each shelf's tuple."""
VALUES = ((), (1, 2, 3), (4,))
"""Values of the cells of each shelf."""


class Shelf(Record):
    """Has a tuple."""

    cells: tuple[Cell, ...]


class Room(Record):
    """Has shelves, one of which is chosen at run time."""

    shelf: Shelf | None
    chosen: Count
    total: Count
    shelves: tuple[Shelf, ...]


TOLD = tuple(tuple(f"told {chosen} {total}" for total in range(7)) for chosen in range(3))


@atomic
def choose_shelf(room: Room) -> None:
    room.chosen = choose(len(WIDTHS))
    room.shelf = room.shelves[room.chosen]


def add(room: Room) -> None:
    choose_shelf(room)
    assert room.shelf is not None
    for cell in room.shelf.cells:
        room.total += cell.value


def add_and_leave(room: Room) -> None:
    choose_shelf(room)
    assert room.shelf is not None
    for cell in room.shelf.cells:
        if cell.value == 2:
            break
        room.total += cell.value


def add_while_the_owner_changes(room: Room) -> None:
    choose_shelf(room)
    shelf = room.shelf
    assert shelf is not None
    for cell in shelf.cells:
        shelf = room.shelves[0]
        room.total += cell.value
    room.shelf = shelf


def measure(room: Room) -> None:
    choose_shelf(room)
    assert room.shelf is not None
    room.total = len(room.shelf.cells)


def take_second(room: Room) -> None:
    choose_shelf(room)
    assert room.shelf is not None
    room.total = room.shelf.cells[1].value


def take_by_number(room: Room) -> None:
    choose_shelf(room)
    assert room.shelf is not None
    room.total = room.shelf.cells[2 - room.chosen].value


def take_beyond(room: Room) -> None:
    choose_shelf(room)
    assert room.shelf is not None
    room.total = room.shelf.cells[3].value


def tell(room: Room) -> None:
    """Report what was chosen, and the total."""
    for chosen in range(3):
        for total in range(7):
            if room.chosen == chosen and room.total == total:
                report(TOLD[chosen][total], "")


def system(function: Callable[[Room], None], order: tuple[int, ...]) -> System:
    """Return a system of one actor, whose shelves are in an order."""
    shelves = tuple(
        Shelf(f"shelf{i}", cells=tuple(Cell(f"cell{i}.{n}", value=v) for n, v in enumerate(VALUES[i]))) for i in order
    )
    room = Room("room", shelves=shelves)
    actor = Actor("a", TaskStruct("a"), (Call(function, (room,)),))
    return System((actor,), Kernel(), Call(tell, (room,)))


def told(function: Callable[[Room], None], order: tuple[int, ...]) -> dict[int, Any]:
    """Return for each shelf the total, or the property that is violated before there is one."""
    searching = Search(link(compile_system(system(function, order))))
    found: dict[int, Any] = {}
    for one in searching.run().found:
        kind, *numbers = one.property.split()
        if kind == "told":
            found[order[int(numbers[0])]] = int(numbers[1])
        else:
            found[-1] = kind
    return found


ORDERS = list(itertools.permutations(range(3)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (add, {0: 0, 1: 6, 2: 4}),
        (add_and_leave, {0: 0, 1: 1, 2: 4}),
        (add_while_the_owner_changes, {0: 0, 1: 6, 2: 4}),
        (measure, {0: 0, 1: 3, 2: 1}),
        (take_second, {1: 2, -1: "out-of-bounds"}),
        (take_beyond, {-1: "out-of-bounds"}),
    ],
)
def test_what_each_owner_has(
    function: Callable[[Room], None], expected: dict[int, Any], order: tuple[int, ...]
) -> None:
    assert told(function, order) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((0, 1, 2), {1: 2, 2: 4, -1: "out-of-bounds"}),
        ((1, 0, 2), {1: 3, 2: 4, -1: "out-of-bounds"}),
        ((2, 1, 0), {1: 2, -1: "out-of-bounds"}),
        ((2, 0, 1), {1: 1, -1: "out-of-bounds"}),
    ],
)
def test_an_index_that_is_computed(order: tuple[int, ...], expected: dict[int, Any]) -> None:
    assert told(take_by_number, order) == expected


@pytest.mark.parametrize("reduction", [True, False])
@pytest.mark.parametrize(
    "function", [add, add_and_leave, add_while_the_owner_changes, measure, take_second, take_by_number, take_beyond]
)
def test_both_forms_take_the_same_steps(function: Callable[[Room], None], reduction: bool) -> None:
    searching = Search(link(compile_system(system(function, (0, 1, 2))), reduction))
    generator = random.Random(1)
    assert sum(random_walk(searching, generator) for _ in range(20)) >= 20
