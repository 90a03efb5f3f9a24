# SPDX-License-Identifier: GPL-2.0-only
"""Races whose window is made wide: a lookup has found its page, and nothing is made of it before the page goes.

A userfaultfd stops a lookup before it has found anything, so that it finds the page of later. Here it is stopped
behind: on a kernel by an eBPF program that wastes time when hva_to_pfn() returns, on the model at that point. The fix
of the race that this shows is da260bcb56fe: an invalidation in no memslot did not make the lookup be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pfncache.machines.machine import Delayed, Machine, SyscallError
from pfncache.machines.uapi import (
    MADV_DONTNEED,
    PAGE_SIZE,
    XEN_ATTR_SHARED_INFO_HVA,
    XEN_LONG_MODE,
)
from pfncache.selftests.selftest import Skip, Suite, check, delayed, equal, without_dedicated_sequence
from pfncache.selftests.world import ANON, World
from pfncache.selftests.xen import BY_HVA, PORT, SHARED_INFO, Take, guest, is_pending, wall_clock_version
from pfncache.series.design import Design

SUITE = Suite("widened")
NEEDS = (*BY_HVA, delayed)


def _in_no_slot(world: World) -> int:
    return world.machine.mmap(PAGE_SIZE)


def _in_slot(world: World) -> int:
    return world.hva + SHARED_INFO


def _dontneed(world: World, hva: int) -> None:
    world.machine.madvise(hva, PAGE_SIZE, MADV_DONTNEED)


def _map_over(world: World, hva: int) -> None:
    world.machine.mmap(PAGE_SIZE, address=hva)


def _nothing(world: World, hva: int) -> None:
    """The page stays."""


def _late(machine: Machine, call: Callable[[], None]) -> Delayed[None]:
    """Run a call whose lookup returns late."""
    try:
        task = machine.delayed(call)
    except SyscallError as error:
        raise Skip(f"no eBPF on a kretprobe: {error}") from None
    check(task.inside(), "the lookup is not delayed")
    return task


def _activation(place: Callable[[World], int], take: Take, machine: Machine) -> None:
    """shared_info is set by its user address; between lookup and publication the page goes, and another one comes."""
    world = guest(ANON, machine)
    hva = place(world)
    machine.write(hva, b"\1")
    old = machine.pin(hva)
    task = _late(machine, lambda: world.vm.xen_hvm_set_attr(XEN_ATTR_SHARED_INFO_HVA, hva))
    take(world, hva)
    machine.write(hva, b"\1")
    task.release()
    task.result()
    world.vm.xen_evtchn_send(PORT)
    _where(world, hva, old.read(XEN_LONG_MODE.pending, 512) == bytes(512), take is _nothing)


def _refresh(place: Callable[[World], int], take: Take, machine: Machine) -> None:
    """The same with the lookup of an event that is sent after the page went for the first time."""
    world = guest(ANON, machine)
    hva = place(world)
    world.vm.xen_hvm_set_attr(XEN_ATTR_SHARED_INFO_HVA, hva)
    _map_over(world, hva)
    machine.write(hva, b"\1")
    old = machine.pin(hva)
    task = _late(machine, lambda: world.vm.xen_evtchn_send(PORT))
    take(world, hva)
    machine.write(hva, b"\1")
    task.release()
    task.result()
    equal("whether the event is pending in the page of now", is_pending(world, hva), True)
    if take is not _nothing:
        equal("what is pending in the page before", old.read(XEN_LONG_MODE.pending, 512), bytes(512))


def _where(world: World, hva: int, untouched: bool, same: bool) -> None:
    equal("whether the event is pending in the page of now", is_pending(world, hva), True)
    equal("the wall clock's version in the page of now", wall_clock_version(world, hva), 2)
    if not same:
        check(untouched, "KVM has written to the page before")


def _fails(place: Callable[[World], int], take: Take) -> Callable[[Design], str]:
    stale = place is _in_no_slot and take is not _nothing
    return without_dedicated_sequence if stale else lambda design: ""


for _how, _body in (("activation", _activation), ("refresh", _refresh)):
    for _where_text, _place in (("no-slot", _in_no_slot), ("in-slot", _in_slot)):
        for _name, _take in (("nothing", _nothing), ("dontneed", _dontneed)):
            SUITE.add(
                f"{_how}-{_where_text}-{_name}",
                f"{_how} of shared_info by user address ({_where_text}), delayed behind its lookup; then {_name}",
                "stale-translation", partial(_body, _place, _take), NEEDS, _fails(_place, _take), seconds=20.0,
            )  # fmt: skip
