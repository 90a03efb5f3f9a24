# SPDX-License-Identifier: GPL-2.0-only
"""Races at any stop point: KVM accesses a structure of the guest, its page goes, and one of the two is stopped.

The name of such a test says all of it, so that one is made of a trace, and any can be asked for::

    traced/anon/clock+dontneed/page-gone/access-after-hva_to_pfn

is kvm-clock in anonymous memory, whose page is gone before KVM_RUN looks it up; KVM_RUN stops when hva_to_pfn() returns
to it, and MADV_DONTNEED takes the page away meanwhile. `removal-before-f` stops the removal where it enters f(), and
`in-turn` nothing.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pfncache.linux.include.uapi import (
    KVM_XEN_ATTR_TYPE_SHARED_INFO,
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    PAGE_SIZE,
    PUNCH_HOLE,
    SHARED_GMEM,
    XEN_LONG_MODE,
    PvClock,
)
from pfncache.machines.machine import Machine, SyscallError
from pfncache.machines.resource import Delayed, StopPoint, Task
from pfncache.selftests.selftest import (
    Need,
    Selftest,
    SelftestFailure,
    SelftestSkipped,
    check,
    delayed,
    disposable,
    equal,
    guest_memfd_slots,
)
from pfncache.selftests.suites.testbed import (
    ANON,
    CLOCK,
    CLOCK_PAGE,
    GMEM,
    MEMFD,
    SECOND,
    SIZE,
    SLOT,
    Backing,
    Testbed,
    gmem_unmapped,
    seconds_of,
)
from pfncache.selftests.suites.widened import DEADLOCK_SECONDS, dontneed, started
from pfncache.selftests.suites.xen import BY_HVA, PORT, SHARED_INFO, XEN, guest, map_over

GROUP = "traced"
EXAMPLE = f"{GROUP}/anon/clock+dontneed/page-gone/access-after-hva_to_pfn"
NAME = re.compile(
    rf"{GROUP}/(?P<memory>[^/]+)/(?P<structure>[^/+]+)\+(?P<removal>[^/+]+)/(?P<start>[^/]+)/"
    r"(?:in-turn|(?P<who>access|removal)-(?P<side>before|after)-(?P<function>\w+))"
)
TRIES = 10
"""How often a race is tried on a kernel; on the model, once."""
BLOCKED_SECONDS = 0.1
"""A call that has not ended after this time beside a delayed one waits for it."""
TEST_SECONDS = 60.0
UNMAPPED = Backing(
    "gmem-unmapped", "guest_memfd that is mapped elsewhere", gmem_unmapped, (guest_memfd_slots(SHARED_GMEM),)
)
MEMORY = {"anon": ANON, "memfd": MEMFD, "gmem-mmap": GMEM, UNMAPPED.name: UNMAPPED}
"""By the name of the kind of memory in scenarios."""
Read = Callable[[int, int], bytes]
"""Returns bytes of the structure's page, by offset and length."""


@dataclass(frozen=True)
class Structure:
    """A structure in guest memory that KVM accesses, and how to tell which access was the last that a page has."""

    name: str
    text: str
    page: int
    """Guest physical address of its page."""
    place: Callable[[Testbed], object]
    """Says where it is, which looks the page up for the first time."""
    prepare: Callable[[Testbed, int], object]
    """What comes before an access of this number."""
    access: Callable[[Testbed, int], object]
    seen: Callable[[Read], int]
    """Returns the number of the last access that a page has; less than 1 for none."""
    needs: tuple[Need, ...] = ()
    is_xen: bool = False
    is_by_hva: bool = False
    """It is known by its user address: a change of memslots does not concern it."""


def _nothing(bed: Testbed, number: int) -> None:
    """An access that needs no preparation."""


def _clock_seconds(read: Read) -> int:
    return seconds_of(PvClock.parse(read(CLOCK % PAGE_SIZE, PvClock.SIZE)))


def _send(bed: Testbed, number: int) -> None:
    bed.vm.xen_evtchn_send(PORT + number)


def _last_event(read: Read) -> int:
    pending = int.from_bytes(read(XEN_LONG_MODE.pending, 512), "little") >> PORT
    return pending.bit_length() - 1 if pending else 0


def _shared_info(name: str, text: str, place: Callable[[Testbed], object], needs: tuple[Need, ...]) -> Structure:
    return Structure(
        name, text, SHARED_INFO, place, _nothing, _send, _last_event, needs, is_xen=True, is_by_hva=needs is BY_HVA
    )


STRUCTURES = {
    structure.name: structure
    for structure in (
        Structure(
            "clock", "kvm-clock", CLOCK_PAGE, lambda bed: bed.enable_clock(),
            lambda bed, number: bed.vm.set_clock(number * SECOND), lambda bed, number: bed.vcpu.run(), _clock_seconds,
        ),
        _shared_info(
            "shared-info", "shared_info by gpa",
            lambda bed: bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO, SHARED_INFO // PAGE_SIZE), XEN,
        ),
        _shared_info(
            "shared-info-hva", "shared_info by user address",
            lambda bed: bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, bed.hva + SHARED_INFO), BY_HVA,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class PageRemoval:
    """A system call that takes a page away from the guest, or from the address by which KVM knows it."""

    name: str
    take: Callable[[Testbed, int], object]
    """Of the page at a guest physical address."""
    memory: tuple[str, ...]
    is_replaced: bool = True
    """Whether the next access has another page."""
    is_of_memslot: bool = False

    def applies(self, structure: Structure, memory: str) -> bool:
        """Whether it takes the page of a structure in a kind of memory away."""
        return memory in self.memory and not (self.is_of_memslot and structure.is_by_hva)


def _punch(bed: Testbed, gpa: int) -> None:
    bed.gmem.fallocate(PUNCH_HOLE, gpa, PAGE_SIZE)


ON_USER_PAGES = ("anon", "memfd")
ON_FILES = ("memfd", "gmem-mmap", UNMAPPED.name)
REMOVALS = {
    removal.name: removal
    for removal in (
        PageRemoval("dontneed", lambda bed, gpa: dontneed(bed, bed.hva + gpa), ("anon",)),
        PageRemoval("map-over", lambda bed, gpa: map_over(bed, bed.hva + gpa), ("anon",)),
        PageRemoval("munmap", lambda bed, gpa: bed.machine.munmap(bed.hva + gpa, PAGE_SIZE), ON_USER_PAGES, False),
        PageRemoval("mremap", lambda bed, gpa: bed.machine.mremap(bed.hva + gpa, PAGE_SIZE), ON_USER_PAGES, False),
        PageRemoval("punch", _punch, ON_FILES),
        PageRemoval("slot-delete", lambda bed, gpa: bed.vm.delete(SLOT), ("anon", *ON_FILES), False, True),
        PageRemoval(
            "slot-move", lambda bed, gpa: bed.vm.set_user_memory_region(SLOT, SIZE, SIZE, bed.hva), ON_USER_PAGES,
            False, True,
        ),
    )
}  # fmt: skip
STARTS = ("valid", "page-gone", "never-used")
"""What KVM has of the page before the race: it has used it; the same, but then the page was taken away; nothing."""


def find(name: str) -> Selftest | None:
    """Return the test of a name; None if there is no such test."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    structure, removal = STRUCTURES.get(found["structure"]), REMOVALS.get(found["removal"])
    backing, start = MEMORY.get(found["memory"]), found["start"]
    if structure is None or removal is None or backing is None or start not in STARTS:
        return None
    if not removal.applies(structure, found["memory"]):
        return None
    stop = StopPoint(found["function"], found["side"] == "before") if found["who"] else None
    race = Race(structure, removal, backing, start, found["who"] == "access", stop)
    needs = (*structure.needs, *backing.needs, disposable, *((delayed,) if stop is not None else ()))
    return Selftest(name, race.purpose, "stale-translation", partial(_tried, race), needs, seconds=TEST_SECONDS)


@dataclass(frozen=True)
class Race:
    """What a test of this group does."""

    structure: Structure
    removal: PageRemoval
    backing: Backing
    start: str
    stops_access: bool
    stop: StopPoint | None
    """Where one of the two is stopped; None if they run in turn."""

    @property
    def purpose(self) -> str:
        """The race in a line."""
        what = f"{self.structure.text} in {self.backing.text}; {self.removal.name}"
        if self.stop is None:
            return f"{what} between two accesses"
        return f"{what}; the {'access' if self.stops_access else 'removal'} is stopped at the {self.stop}"

    def attempt(self, machine: Machine) -> None:
        """Make the race happen once. Raises SelftestFailure if a page shows that KVM took part of an old one."""
        bed = guest(self.backing, machine) if self.structure.is_xen else self.backing.build(machine)
        number = itertools.count(1)
        view = (bed.alias if bed.alias is not None else bed.hva) + self.structure.page
        machine.touch(view)
        if self.start != "never-used":
            self.structure.place(bed)
            self._access(bed, next(number))
        if self.start == "page-gone":
            REMOVALS["map-over" if self.backing is ANON else "punch"].take(bed, self.structure.page)
            machine.touch(view)
        old = machine.pin(view)
        last = next(number)
        self.structure.prepare(bed, last)

        def access() -> None:
            try:
                if self.start == "never-used":
                    self.structure.place(bed)
                self.structure.access(bed, last)
            except SyscallError:
                return  # there is no page: what counts is where the access is seen

        def take() -> None:
            self.removal.take(bed, self.structure.page)

        def is_old_written() -> bool:
            return self.structure.seen(old.read) >= last

        self._race(machine, access, take, is_old_written)
        if self.removal.is_replaced:
            self._access(bed, last + 1)
            read = partial(_from, machine, view)
            equal("the last access that the guest's page has", self.structure.seen(read), last + 1)
        bed.vm.close()

    def _access(self, bed: Testbed, number: int) -> None:
        self.structure.prepare(bed, number)
        self.structure.access(bed, number)

    def _race(
        self, machine: Machine, access: Callable[[], None], take: Callable[[], None], is_old_written: Callable[[], bool]
    ) -> None:
        """Run both, and check the old page where the removal has ended before KVM had accessed it."""
        if self.stop is None:
            take()
            access()
            check(not is_old_written(), "KVM has written to a page that is no longer the guest's")
            return
        first, second = (access, take) if self.stops_access else (take, access)
        stopped = _late(machine, first, self.stop)
        other: Task[object] = machine.start(second)
        waits = other.blocked(BLOCKED_SECONDS)
        inside = stopped.blocked(0) and not waits and not is_old_written()
        stopped.release()
        stuck = stopped.blocked(DEADLOCK_SECONDS), other.blocked(DEADLOCK_SECONDS)
        check(stuck != (True, True), "the access and the removal wait for each other")
        stopped.result()
        other.result()
        if inside and self.stops_access:
            check(not is_old_written(), "KVM has written to a page that is no longer the guest's")


def _late(machine: Machine, call: Callable[[], None], stop: StopPoint) -> Delayed[None]:
    task = started(machine, call, stop)
    if not task.stopped():
        task.result()
        raise SelftestSkipped(f"the call does not come to the {stop}")
    return task


def _from(machine: Machine, hva: int, offset: int, length: int) -> bytes:
    return machine.read(hva + offset, length)


def _tried(race: Race, machine: Machine) -> None:
    """Try a race, often where tasks run at the same time. The first failure counts, and how many there were."""
    tries = TRIES if machine.capabilities.parallel and race.stop is not None else 1
    failures: list[SelftestFailure] = []
    for _ in range(tries):
        try:
            race.attempt(machine)
        except SelftestFailure as failure:
            failures.append(failure)
    if tries > 1:
        machine.note(f"seen in {len(failures)} of {tries} tries")
    if failures:
        raise failures[0]
