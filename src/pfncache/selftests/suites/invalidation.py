# SPDX-License-Identifier: GPL-2.0-only
"""The clock's page is taken away: where the next update goes, and that nothing goes to the old page any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pfncache.linux.include.uapi import MADV_DONTNEED, MADV_REMOVE, PAGE_SIZE, PROT_NONE, PROT_READ, PROT_RW, PUNCH_HOLE
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import Suite, check, equal, outcome
from pfncache.selftests.suites.world import (
    ANON,
    CLOCK,
    CLOCK_PAGE,
    GMEM,
    MAPPED,
    MEMFD,
    SIZE,
    SLOT,
    STEAL,
    Backing,
    World,
    gmem_as_plain_memory,
)

SUITE = Suite("invalidation")
STEAL_SUITE = Suite("steal-invalidation")
NEW, SAME, NONE = "a new page", "the same page", "no page"
FILES = (MEMFD, GMEM)
ALL = MAPPED
SPARE_SLOT = 9


@dataclass(frozen=True)
class Event:
    """Something that happens to a page, which is a parameter: steal time is in another one than the clock."""

    name: str
    text: str
    happens: Callable[[World, int], object]
    lands: dict[str, str]
    """By backing: where the next update lands, NONE if it is lost."""
    repair: Callable[[World, int], object] | None = None
    """What makes updates possible again."""
    repaired: str = NEW
    """Where the update after that lands."""


OF_THE_MAPPING = ("munmap", "map-over", "mremap", "mprotect-read", "mprotect-none")
"""Events that the file behind the mapping does not notice."""


def _everywhere(lands: str, backings: tuple[Backing, ...] = ALL) -> dict[str, str]:
    return {backing.name: lands for backing in backings}


def _map_anonymous(world: World, page: int) -> int:
    return world.machine.mmap(PAGE_SIZE, address=page)


def _replace_slot(world: World, page: int) -> None:
    """The slot goes, and comes back at another user address."""
    world.vm.delete(SLOT)
    world.hva = world.machine.mmap(SIZE)
    world.alias = None
    world.vm.set_user_memory_region(SLOT, 0, SIZE, world.hva)


def _close_all(world: World, page: int) -> None:
    """Nobody has the file any more."""
    world.gmem.close()
    world.machine.munmap(world.hva, SIZE)
    assert world.alias is not None
    world.machine.munmap(world.alias, SIZE)
    world.alias = None


def _protect(prot: int, world: World, page: int) -> None:
    world.machine.mprotect(page, PAGE_SIZE, prot)


def _punch(world: World, page: int) -> None:
    world.gmem.fallocate(PUNCH_HOLE, page - world.hva, PAGE_SIZE)


def _other_slot(world: World, page: int) -> None:
    world.vm.set_user_memory_region(SPARE_SLOT, 2 * SIZE, PAGE_SIZE, world.machine.mmap(PAGE_SIZE))


EVENTS = (
    Event("none", "nothing happens", lambda w, p: None, _everywhere(SAME)),
    Event("munmap", "munmap(), then a new mapping", lambda w, p: w.machine.munmap(p, PAGE_SIZE),
          _everywhere(NONE), _map_anonymous),
    Event("map-over", "another mapping takes the place", _map_anonymous, _everywhere(NEW)),
    Event("mremap", "mremap() takes the page elsewhere", lambda w, p: w.machine.mremap(p, PAGE_SIZE),
          _everywhere(NONE), _map_anonymous),
    Event("dontneed", "MADV_DONTNEED", lambda w, p: w.machine.madvise(p, PAGE_SIZE, MADV_DONTNEED),
          {**_everywhere(SAME, FILES), "anon": NEW}),
    Event("mprotect-read", "mprotect() to PROT_READ, then back", partial(_protect, PROT_READ),
          _everywhere(NONE), partial(_protect, PROT_RW), SAME),
    Event("mprotect-none", "mprotect() to PROT_NONE, then back", partial(_protect, PROT_NONE),
          _everywhere(NONE), partial(_protect, PROT_RW), SAME),
    Event("punch", "PUNCH_HOLE of the page", _punch, _everywhere(NEW, FILES)),
    Event("punch-all", "PUNCH_HOLE of the whole file", lambda w, p: w.gmem.fallocate(PUNCH_HOLE, 0, SIZE),
          _everywhere(NEW, FILES)),
    Event("punch-other", "PUNCH_HOLE of another page",
          lambda w, p: w.gmem.fallocate(PUNCH_HOLE, PAGE_SIZE, PAGE_SIZE), _everywhere(SAME, FILES)),
    Event("madv-remove", "MADV_REMOVE", lambda w, p: w.machine.madvise(p, PAGE_SIZE, MADV_REMOVE),
          _everywhere(NEW, FILES)),
    Event("slot-delete", "the memslot is deleted", lambda w, p: w.vm.delete(SLOT), _everywhere(NONE)),
    Event("slot-replace", "the memslot comes back at another user address", _replace_slot, _everywhere(NEW)),
    Event("slot-move", "the memslot moves to another gpa",
          lambda w, p: w.vm.set_user_memory_region(SLOT, 2 * SIZE, SIZE, w.hva), _everywhere(NONE, (ANON, MEMFD))),
    Event("other-slot", "another memslot is created", _other_slot, _everywhere(SAME)),
    Event("close", "the file is closed, but mapped", lambda w, p: w.gmem.close(), _everywhere(SAME, (GMEM,))),
    Event("close-all", "the file is closed and unmapped", _close_all, _everywhere(NONE, (GMEM,))),
)  # fmt: skip


def _lands(event: Event, backing: Backing, machine: Machine) -> str:
    """Where the next update lands. With a cache that goes by the guest_memfd, a user mapping does not matter."""
    by_file = backing is GMEM and machine.capabilities.pfncache_gmem
    return SAME if by_file and event.name in OF_THE_MAPPING else event.lands[backing.name]


def _clock(event: Event, backing: Backing, machine: Machine) -> None:
    """An update before, the event, an update after: in the old page, and in what is the guest's now."""
    world = backing.build(machine)
    world.enable_clock()
    world.update(1)
    old = world.pin()
    equal("the clock before", old.seconds(), 1)
    event.happens(world, world.page)
    world.update(2)
    lands = _lands(event, backing, machine)
    _where(world, old.seconds(), lands, 1, 2)
    if event.repair is not None and lands != SAME:
        before = old.seconds()
        event.repair(world, world.page)
        world.update(3)
        _where(world, old.seconds(), event.repaired, before, 3)


def _where(world: World, old: int, lands: str, before: int, after: int) -> None:
    """Whether the update went to where it should have, and nowhere else."""
    if lands == SAME:
        equal("the clock in the page", old, after)
        return
    equal("the clock in the old page", old, before)
    if lands == NEW:
        equal("the clock in the new page", world.clock_seconds(world.hva + CLOCK), after)


def _steal(event: Event, backing: Backing, machine: Machine) -> None:
    """The same for steal time. It is not cached, so that only where the next update lands is of interest."""
    world = backing.build(machine)
    world.enable_steal_time()
    world.vcpu.run()
    page = world.hva + STEAL
    pin = machine.pin(page)
    before = pin.read(8, 4)
    check(before != bytes(4), "steal time was never written")
    event.happens(world, page)
    world.vcpu.run()
    lands = event.lands[backing.name]
    equal("whether the old page has changed", pin.read(8, 4) != before, lands == SAME)
    if lands == NEW:
        check(world.steal(world.hva + STEAL).version > 0, "steal time is not in the new page")


def _move_is_refused(machine: Machine) -> None:
    world = GMEM.build(machine)
    world.enable_clock()
    world.update(1)
    move = outcome(lambda: world.vm.set_user_memory_region(SLOT, 2 * SIZE, SIZE, world.hva))
    equal("a move of a slot with guest_memfd", move, "EINVAL")
    world.update(2)
    equal("the clock", world.seen(), 2)


for _event in EVENTS:
    for _backing in MAPPED:
        if _backing.name in _event.lands:
            SUITE.add(
                f"{_event.name}-{_backing.name}",
                f"{_event.text}, under a clock in {_backing.text}: the next update is in {_event.lands[_backing.name]}",
                "stale-translation", partial(_clock, _event, _backing), _backing.needs,
            )  # fmt: skip
            STEAL_SUITE.add(
                f"{_event.name}-{_backing.name}",
                f"{_event.text}, under steal time in {_backing.text}: the next one is in {_event.lands[_backing.name]}",
                "lost-update", partial(_steal, _event, _backing), _backing.needs,
            )  # fmt: skip
SUITE.add(
    "slot-move-gmem",
    "a memslot with guest_memfd cannot be moved, and its clock goes on",
    "uapi",
    _move_is_refused,
    GMEM.needs,
)


@SUITE.test(
    "many-punches",
    "stale-translation",
    GMEM.needs,
)
def many_punches(machine: Machine) -> None:
    """500 holes under a running clock: every update is in the page of its time."""
    world = GMEM.build(machine)
    world.enable_clock()
    for second in range(1, 501):
        world.gmem.fallocate(PUNCH_HOLE, CLOCK_PAGE, PAGE_SIZE)
        world.update(second)
        equal("the clock after a hole", world.seen(), second)


@SUITE.test(
    "foreign-release",
    "use-after-free",
    GMEM.needs,
)
def foreign_release(machine: Machine) -> None:
    """A clock in the mapping of another VM's guest_memfd, which loses its VM."""
    world = gmem_as_plain_memory(machine, foreign=True)
    world.enable_clock()
    world.update(1)
    old = world.pin()
    world.gmem.close()
    world.update(2)
    equal("the clock in the page that is mapped still", old.seconds(), 2)
    assert world.alias is not None
    machine.munmap(world.alias, SIZE)
    machine.munmap(world.hva, SIZE)
    world.update(3)
    equal("the clock in the page that is nobody's", old.seconds(), 2)
