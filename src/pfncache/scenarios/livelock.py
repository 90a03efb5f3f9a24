# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of liveness: an operation must end although an environment actor beside it loops forever."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _to_be_refreshed(w: World) -> World:
    """Enable the clock, zap its page and touch it again; map other memory at the address after it."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0)).clock_on()
    w.do(w.call("madvise_dontneed", w.mm, w.hva), w.call("do_user_addr_fault", w.mm, w.hva))
    return w.actor("vcpu", w.call("run_clock_update", w.vcpu))


def _unrelated(w: World) -> Call:
    """Return an invalidation of other memory than the clock's page."""
    return w.call("madvise_dontneed", w.mm, w.other_hva)


@scenario(slots=2)
def unrelated_memory(w: World) -> None:
    """The process zaps memory that is not the guest's in a loop while a cache is refreshed."""
    _to_be_refreshed(w)
    w.actor("madvise", _unrelated(w), endless=True)


@scenario(slots=2, gfns=2)
def unrelated_page(w: World) -> None:
    """The process zaps another page of the guest's memory in a loop while a cache is refreshed."""
    _to_be_refreshed(w)
    w.actor("madvise", _unrelated(w), endless=True)


@scenario(slots=2, gfns=2)
def few_unrelated(w: World) -> None:
    """The process zaps another page of the guest's memory three times while a cache is refreshed."""
    _to_be_refreshed(w)
    w.actor("madvise", *(_unrelated(w),) * 3)


@scenario(slots=2)
def slot_update(w: World) -> None:
    """A slot is deleted while the process zaps memory in a loop."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    w.actor("madvise", _unrelated(w), endless=True)


def _endless_clock(w: World) -> World:
    """Enable the clock, and add a vCPU that updates it in a loop."""
    w.clock_on()
    return w.actor("vcpu", w.call("run_clock_update", w.vcpu), endless=True)


@scenario(slots=2)
def clock_and_munmap(w: World) -> None:
    """The page is unmapped while the clock is updated in a loop."""
    _endless_clock(w)
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(slots=2)
def clock_and_slot_update(w: World) -> None:
    """The slot is deleted while the clock is updated in a loop."""
    _endless_clock(w)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(memory=MemoryKind.GMEM, slots=2, shared_attribute=True)
def clock_and_conversion(w: World) -> None:
    """The page is made private while the clock is updated in a loop."""
    _endless_clock(w)
    w.actor("convert", w.call("set_memory_attributes", w.kvm, 0, 1, True))
