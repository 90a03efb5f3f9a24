# SPDX-License-Identifier: GPL-2.0-only
"""Small systems whose every interleaving can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from pfncache.check.compile.compiler import compile_system
from pfncache.check.program.layout import Program, link
from pfncache.check.replay import Replay
from pfncache.check.result import Found, SearchResult
from pfncache.check.search import Search
from pfncache.check.shortest import search_shortest
from pfncache.check.system import Actor, Call, System
from pfncache.lang.atomic import atomic, block_until, guard
from pfncache.lang.choose import choose, symmetric
from pfncache.lang.locks import lock_acquire
from pfncache.lang.records import Count, Record
from pfncache.lang.report import report
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.linux.types import Sequence
from pfncache.linux.kernel.locking.mutex import Mutex, mutex
from pfncache.linux.kernel.locking.rwsem import RwSemaphore, down_read
from pfncache.linux.mm.slub import kfree, kzalloc

Lists = list[list[Callable[..., Any]]]
"""The functions of each actor."""


class Thing(Record, slab=True):
    """Something that is allocated and freed."""

    value: Count


class Cell(Record):
    """An element of an array."""

    value: Count


class Box(Record):
    """What the actors share."""

    count: Count
    flag: bool
    sequence: Sequence
    thing: Thing | None
    lock: Mutex
    other: Mutex
    sem: RwSemaphore
    cells: tuple[Cell, ...]
    things: tuple[Thing, ...]


class Kernel:
    """A kernel without functions."""


def box(cells: int = 2, things: int = 1) -> Box:
    return Box(
        "box",
        cells=tuple(Cell(f"cell{i}") for i in range(cells)),
        things=tuple(Thing(f"thing{i}") for i in range(things)),
    )


def system(
    *functions: Callable[..., Any],
    at_end: Callable[..., Any] | None = None,
    interrupts: bool = False,
    endless: Collection[int] = (),
) -> System:
    """One actor for each function, some of them endless; with `interrupts`, the last one interrupts the first."""
    return system_of([[function] for function in functions], at_end, interrupts, endless)


def system_of(
    lists: Lists, at_end: Callable[..., Any] | None = None, interrupts: bool = False, endless: Collection[int] = ()
) -> System:
    """One actor for each list of functions."""
    shared = box()
    last = len(lists) - 1
    actors = [
        Actor(
            f"a{i}", TaskStruct(f"task{i}"), tuple(Call(function, (shared,)) for function in functions),
            "a0" if interrupts and i == last else None, i in endless,
        )
        for i, functions in enumerate(lists)
    ]  # fmt: skip
    return System(tuple(actors), Kernel(), Call(at_end, (shared,)) if at_end is not None else None)


def search(
    *functions: Callable[..., Any],
    at_end: Callable[..., Any] | None = None,
    reduction: bool = True,
    interrupts: bool = False,
    endless: Collection[int] = (),
    max_states: int = 100_000,
) -> tuple[Search, SearchResult]:
    """Search the system of some functions."""
    return search_lists([[function] for function in functions], at_end, reduction, interrupts, max_states, endless)


def search_lists(
    lists: Lists,
    at_end: Callable[..., Any] | None = None,
    reduction: bool = True,
    interrupts: bool = False,
    max_states: int = 100_000,
    endless: Collection[int] = (),
) -> tuple[Search, SearchResult]:
    """Search the system of some lists of functions."""
    return search_shortest(link(compile_system(system_of(lists, at_end, interrupts, endless)), reduction), max_states)


def program(*lists: list[Callable[..., Any]]) -> Program:
    """The program of some lists of functions, reduced."""
    return link(compile_system(system_of(list(lists))))


def whole(system: System) -> tuple[Search, SearchResult]:
    """Search a system without reductions, as exports have it."""
    made = Search(link(compile_system(system), reduction=False))
    return made, made.run()


def replayed(searching: Search, found: Found) -> Replay:
    """Replay the path of a violation through the functions."""
    replay = Replay(searching)
    try:
        replay.run(found)
    finally:
        replay.finish()
    return replay


# Actors


def increment(shared: Box) -> None:
    shared.count += 1


def increment_locked(shared: Box) -> None:
    with mutex(shared.lock):
        shared.count += 1


def first_then_other(shared: Box) -> None:
    with mutex(shared.lock), mutex(shared.other):
        shared.count += 1


def other_then_first(shared: Box) -> None:
    with mutex(shared.other), mutex(shared.lock):
        shared.count += 1


def first_twice(shared: Box) -> None:
    with mutex(shared.lock), mutex(shared.lock):
        shared.count += 1


def release_what_is_free(shared: Box) -> None:
    shared.lock.unlock()


@atomic
def wait_for_flag(shared: Box) -> None:
    block_until(shared.flag)


def set_flag(shared: Box) -> None:
    shared.flag = True


def spin_until_flag(shared: Box) -> None:
    while not shared.flag:
        shared.count = 1


def spin_while_flag(shared: Box) -> None:
    while shared.flag:
        pass


def spin_until_flag_locked(shared: Box) -> None:
    seen: bool = False
    while not seen:
        with mutex(shared.lock):
            seen = shared.flag


def set_flag_locked(shared: Box) -> None:
    with mutex(shared.lock):
        shared.flag = True


def blink(shared: Box) -> None:
    shared.flag = not shared.flag


def left_steps_aside(shared: Box) -> None:
    step_aside(shared.cells[0], shared.cells[1])


def right_steps_aside(shared: Box) -> None:
    step_aside(shared.cells[1], shared.cells[0])


def step_aside(own: Cell, other: Cell) -> None:
    """Try again for as long as the other one tries too."""
    own.value = 1
    while other.value == 1:
        own.value = 0
        own.value = 1
    own.value = 0


def bump(shared: Box) -> None:
    shared.sequence += 1


def look_twice(shared: Box) -> None:
    """Look until nothing has changed in between."""
    before = shared.sequence
    while shared.sequence != before:
        before = shared.sequence


def allocate(shared: Box) -> None:
    thing = kzalloc(shared.things)
    if thing is not None:
        thing.value = 3
        shared.thing = thing


def free(shared: Box) -> None:
    thing = shared.thing
    if thing is not None:
        kfree(thing)


def use(shared: Box) -> None:
    thing = shared.thing
    if thing is not None:
        thing.value = 4


def follow(shared: Box) -> None:
    thing = shared.thing
    assert thing is not None
    shared.count = thing.value


def index_by_count(shared: Box) -> None:
    shared.cells[shared.count].value = 1


def index_below(shared: Box) -> None:
    shared.count -= 1
    shared.cells[shared.count].value = 1


@atomic
def roll(shared: Box) -> None:
    shared.count = choose(3)


@atomic
def roll_alike(shared: Box) -> None:
    outcome = choose(3)
    symmetric(outcome == 1)
    shared.count = outcome


def leave_room(shared: Box) -> None:
    shared.count = 6
    shared.count += 1


def return_from_guard(shared: Box) -> int:
    for cell in shared.cells:
        with mutex(shared.lock):
            if cell.value == 0:
                cell.value = 1
                continue
            if cell.value == 2:
                break
            return 1
    return 0


@guard
def counted(shared: Box) -> Iterator[Cell]:
    shared.count += 1
    yield shared.cells[1]
    shared.count -= 1


def through_guard(shared: Box) -> None:
    with counted(shared) as cell:
        cell.value += 1


def positive(shared: Box) -> Iterator[Cell]:
    for cell in shared.cells:
        if cell.value > 0:
            yield cell


def through_generator(shared: Box) -> None:
    shared.cells[1].value = 2
    for cell in positive(shared):
        with mutex(shared.lock):
            if cell.value == 2:
                cell.value = 5
                break
            shared.count = 6


def pair(shared: Box) -> tuple[int, bool]:
    if shared.flag:
        return 2, False
    return 1, True


def arithmetic(shared: Box) -> None:
    number, flag = pair(shared)
    shared.count = min(shared.count + number, 5) if flag else max(shared.count, number)
    shared.cells[0].value = (shared.count << 1) // 2 % 3 ^ 1
    shared.cells[1].value = 1 if 0 < shared.count <= 3 and not shared.flag else 0


def turn(shared: Box) -> None:
    shared.count = (shared.count + 1) % 3


def turn_locked(shared: Box) -> None:
    with mutex(shared.lock):
        turn(shared)


def turn_with_both_locks(shared: Box) -> None:
    with mutex(shared.lock), mutex(shared.other):
        turn(shared)


def lock_the_other_way_round(shared: Box) -> None:
    with mutex(shared.other), mutex(shared.lock):
        shared.cells[1].value = 1


def count_up(shared: Box) -> None:
    for _ in range(3):
        shared.count += 1


def values_up(shared: Box) -> None:
    for _ in range(3):
        shared.cells[0].value += 1


def take_both_cells(shared: Box) -> None:
    shared.cells[0].value = 1
    shared.cells[0].value = shared.cells[1].value


@atomic
def trylock(lock: Mutex) -> bool:
    if lock.held:
        return False
    lock.held = True
    lock_acquire(lock, exclusive=True, waits=False)
    return True


def try_lock(shared: Box) -> None:
    if trylock(shared.lock):
        shared.cells[0].value = 3
        shared.lock.unlock()


def read_unlocked(shared: Box) -> None:
    if shared.cells[0].value == 1 and shared.count == 1:
        report("torn", "half of an update is seen")


def update_locked(shared: Box) -> None:
    with mutex(shared.lock):
        shared.cells[0].value = 1
        shared.count = 1
        shared.cells[0].value = 2


def update_downgraded(shared: Box) -> None:
    shared.sem.lock()
    shared.cells[0].value = 1
    shared.count = 1
    shared.cells[0].value = 2
    shared.sem.downgrade_write()
    if shared.cells[0].value != 2:
        report("torn", "a writer came in between")
    shared.sem.unlock_shared()


def read_shared(shared: Box) -> None:
    with down_read(shared.sem):
        read_unlocked(shared)


def lock_and_semaphore(shared: Box) -> None:
    with mutex(shared.lock), down_read(shared.sem):
        shared.flag = True


def downgrade_and_lock(shared: Box) -> None:
    shared.sem.lock()
    shared.sem.downgrade_write()
    with mutex(shared.lock):
        shared.flag = False
    shared.sem.unlock_shared()


@atomic
def wait_for_count(shared: Box) -> None:
    block_until(shared.count != 0)


# What is asked at the end


@atomic
def count_is_two(shared: Box) -> None:
    if shared.count != 2:
        report("lost", f"count is {shared.count}")


@atomic
def lock_is_free(shared: Box) -> None:
    if shared.lock.held:
        report("held", "the lock is held at the end")


@atomic
def choose_twice(shared: Box) -> None:
    shared.cells[0].value = 3 if shared.flag else shared.count
    shared.cells[1].value = 2 if shared.count > 1 else shared.cells[0].value
