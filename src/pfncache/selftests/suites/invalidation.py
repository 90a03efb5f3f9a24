# SPDX-License-Identifier: GPL-2.0-only
"""The clock's page is invalidated: which page the next update is in, and that none is in the old page."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pfncache.linux.include.uapi import MADV_DONTNEED, MADV_REMOVE, PAGE_SIZE, PROT_NONE, PROT_READ, PROT_RW, PUNCH_HOLE
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import Suite, check, equal, outcome
from pfncache.selftests.suites.testbed import (
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
    Testbed,
    gmem_as_plain_memory,
)

SUITE = Suite("invalidation")
STEAL_SUITE = Suite("steal-invalidation")
FILES = (MEMFD, GMEM)
ALL = MAPPED
SPARE_SLOT = 9


class Landing(enum.Enum):
    """Page that an update is in; the value completes a test's purpose."""

    NEW = "a new page"
    SAME = "the same page"
    NONE = "no page"


NEW, SAME, NONE = Landing


@dataclass(frozen=True)
class PageEvent:
    """An event on a page, which is a parameter: the clock and steal time are in different pages."""

    name: str
    text: str
    happens: Callable[[Testbed, int], object]
    lands: dict[str, Landing]
    """By backing: the page that the next update is in; NONE if it is lost."""
    repair: Callable[[Testbed, int], object] | None = None
    """Makes updates possible again."""
    repaired: Landing = NEW
    """The page that the update after the repair is in."""


OF_THE_MAPPING = ("munmap", "map-over", "mremap", "mprotect-read", "mprotect-none")
"""Events that do not change the file behind the mapping."""


def _everywhere(lands: Landing, backings: tuple[Backing, ...] = ALL) -> dict[str, Landing]:
    return {backing.name: lands for backing in backings}


def _map_anonymous(bed: Testbed, page: int) -> int:
    return bed.machine.mmap(PAGE_SIZE, address=page)


def _replace_slot(bed: Testbed, page: int) -> None:
    """Delete the slot, and create it again at another user address."""
    bed.vm.delete(SLOT)
    bed.hva = bed.machine.mmap(SIZE)
    bed.alias = None
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva)


def _close_all(bed: Testbed, page: int) -> None:
    """Drop every reference to the file."""
    bed.gmem.close()
    bed.machine.munmap(bed.hva, SIZE)
    assert bed.alias is not None
    bed.machine.munmap(bed.alias, SIZE)
    bed.alias = None


def _protect(prot: int, bed: Testbed, page: int) -> None:
    bed.machine.mprotect(page, PAGE_SIZE, prot)


def _punch(bed: Testbed, page: int) -> None:
    bed.gmem.fallocate(PUNCH_HOLE, page - bed.hva, PAGE_SIZE)


def _other_slot(bed: Testbed, page: int) -> None:
    bed.vm.set_user_memory_region(SPARE_SLOT, 2 * SIZE, PAGE_SIZE, bed.machine.mmap(PAGE_SIZE))


EVENTS = (
    PageEvent("none", "nothing happens", lambda w, p: None, _everywhere(SAME)),
    PageEvent("munmap", "munmap(), then a new mapping", lambda w, p: w.machine.munmap(p, PAGE_SIZE),
          _everywhere(NONE), _map_anonymous),
    PageEvent("map-over", "another mapping replaces it", _map_anonymous, _everywhere(NEW)),
    PageEvent("mremap", "mremap() moves the page", lambda w, p: w.machine.mremap(p, PAGE_SIZE),
          _everywhere(NONE), _map_anonymous),
    PageEvent("dontneed", "MADV_DONTNEED", lambda w, p: w.machine.madvise(p, PAGE_SIZE, MADV_DONTNEED),
          {**_everywhere(SAME, FILES), "anon": NEW}),
    PageEvent("mprotect-read", "mprotect() to PROT_READ, then back", partial(_protect, PROT_READ),
          _everywhere(NONE), partial(_protect, PROT_RW), SAME),
    PageEvent("mprotect-none", "mprotect() to PROT_NONE, then back", partial(_protect, PROT_NONE),
          _everywhere(NONE), partial(_protect, PROT_RW), SAME),
    PageEvent("punch", "PUNCH_HOLE of the page", _punch, _everywhere(NEW, FILES)),
    PageEvent("punch-all", "PUNCH_HOLE of the whole file", lambda w, p: w.gmem.fallocate(PUNCH_HOLE, 0, SIZE),
          _everywhere(NEW, FILES)),
    PageEvent("punch-other", "PUNCH_HOLE of another page",
          lambda w, p: w.gmem.fallocate(PUNCH_HOLE, PAGE_SIZE, PAGE_SIZE), _everywhere(SAME, FILES)),
    PageEvent("madv-remove", "MADV_REMOVE", lambda w, p: w.machine.madvise(p, PAGE_SIZE, MADV_REMOVE),
          _everywhere(NEW, FILES)),
    PageEvent("slot-delete", "the memslot is deleted", lambda w, p: w.vm.delete(SLOT), _everywhere(NONE)),
    PageEvent("slot-replace", "the memslot is created again at another user address", _replace_slot, _everywhere(NEW)),
    PageEvent("slot-move", "the memslot moves to another gpa",
          lambda w, p: w.vm.set_user_memory_region(SLOT, 2 * SIZE, SIZE, w.hva), _everywhere(NONE, (ANON, MEMFD))),
    PageEvent("other-slot", "another memslot is created", _other_slot, _everywhere(SAME)),
    PageEvent("close", "the file is closed, but still mapped", lambda w, p: w.gmem.close(), _everywhere(SAME, (GMEM,))),
    PageEvent("close-all", "the file is closed and unmapped", _close_all, _everywhere(NONE, (GMEM,))),
)  # fmt: skip


def _lands(event: PageEvent, backing: Backing, machine: Machine) -> Landing:
    """The page that the next update is in. A cache that resolves through guest_memfd ignores the user mapping."""
    by_file = backing is GMEM and machine.capabilities.pfncache_gmem
    return SAME if by_file and event.name in OF_THE_MAPPING else event.lands[backing.name]


def _clock(event: PageEvent, backing: Backing, machine: Machine) -> None:
    """Update the clock before and after an event, and check the old page and the current one."""
    bed = backing.build(machine)
    bed.enable_clock()
    bed.update(1)
    old = bed.pin()
    equal("the clock before", old.seconds(), 1)
    event.happens(bed, bed.page)
    bed.update(2)
    lands = _lands(event, backing, machine)
    _where(bed, old.seconds(), lands, 1, 2)
    if event.repair is not None and lands is not SAME:
        before = old.seconds()
        event.repair(bed, bed.page)
        bed.update(3)
        _where(bed, old.seconds(), event.repaired, before, 3)


def _where(bed: Testbed, old: int, lands: Landing, before: int, after: int) -> None:
    """Require that the update is in the expected page alone."""
    if lands is SAME:
        equal("the clock in the page", old, after)
        return
    equal("the clock in the old page", old, before)
    if lands is NEW:
        equal("the clock in the new page", bed.clock_seconds(bed.hva + CLOCK), after)


def _steal(event: PageEvent, backing: Backing, machine: Machine) -> None:
    """Update steal time before and after an event. It is not cached: only the page of the next update is checked."""
    bed = backing.build(machine)
    bed.enable_steal_time()
    bed.vcpu.run()
    page = bed.hva + STEAL
    pin = machine.pin(page)
    before = pin.read(8, 4)
    check(before != bytes(4), "steal time was never written")
    event.happens(bed, page)
    bed.vcpu.run()
    lands = event.lands[backing.name]
    equal("whether the old page has changed", pin.read(8, 4) != before, lands is SAME)
    if lands is NEW:
        check(bed.steal(bed.hva + STEAL).version > 0, "steal time is not in the new page")


def _move_is_refused(machine: Machine) -> None:
    bed = GMEM.build(machine)
    bed.enable_clock()
    bed.update(1)
    move = outcome(lambda: bed.vm.set_user_memory_region(SLOT, 2 * SIZE, SIZE, bed.hva))
    equal("a move of a slot with guest_memfd", move, "EINVAL")
    bed.update(2)
    equal("the clock", bed.seen(), 2)


for _event in EVENTS:
    for _backing in MAPPED:
        if _backing.name in _event.lands:
            _page = _event.lands[_backing.name].value
            SUITE.add(
                f"{_event.name}-{_backing.name}",
                f"{_event.text}, under a clock in {_backing.text}: the next update is in {_page}",
                "stale-translation", partial(_clock, _event, _backing), needs=_backing.needs,
            )  # fmt: skip
            STEAL_SUITE.add(
                f"{_event.name}-{_backing.name}",
                f"{_event.text}, under steal time in {_backing.text}: the next one is in {_page}",
                "lost-update", partial(_steal, _event, _backing), needs=_backing.needs,
            )  # fmt: skip
SUITE.add(
    "slot-move-gmem",
    "a memslot with guest_memfd cannot be moved, and its clock is still updated",
    "uapi",
    _move_is_refused,
    needs=GMEM.needs,
)


@SUITE.test(
    "many-punches",
    "stale-translation",
    needs=GMEM.needs,
)
def many_punches(machine: Machine) -> None:
    """500 holes under a running clock: every update is in the page that is current then."""
    bed = GMEM.build(machine)
    bed.enable_clock()
    for second in range(1, 501):
        bed.gmem.fallocate(PUNCH_HOLE, CLOCK_PAGE, PAGE_SIZE)
        bed.update(second)
        equal("the clock after a hole", bed.seen(), second)


@SUITE.test(
    "foreign-release",
    "use-after-free",
    needs=GMEM.needs,
)
def foreign_release(machine: Machine) -> None:
    """A clock in the mapping of another VM's guest_memfd, which is closed."""
    bed = gmem_as_plain_memory(machine, foreign=True)
    bed.enable_clock()
    bed.update(1)
    old = bed.pin()
    bed.gmem.close()
    bed.update(2)
    equal("the clock in the page that is still mapped", old.seconds(), 2)
    assert bed.alias is not None
    machine.munmap(bed.alias, SIZE)
    machine.munmap(bed.hva, SIZE)
    bed.update(3)
    equal("the clock in the page that is freed but for the pin", old.seconds(), 2)
