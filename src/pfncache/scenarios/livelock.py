# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of waiting: what must end although somebody beside it never does."""

from __future__ import annotations

from pfncache.check.system import Call, System
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import Memory, World


def _to_be_refreshed(kernel: Kernel, gfns: int = 1) -> World:
    """The clock is on, and its page has gone and come back; at the address after it, there is other memory."""
    w = World(kernel, gfns=gfns, slots=2)
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0)).clock_on()
    w.do(w.call("madvise_dontneed", w.mm, w.hva), w.call("do_user_addr_fault", w.mm, w.hva))
    return w.actor("vcpu", w.call("run_clock_update", w.vcpu))


def _unrelated(w: World) -> Call:
    """An invalidation that has nothing to do with the clock's page."""
    return w.call("madvise_dontneed", w.mm, w.other_hva)


def unrelated_memory(kernel: Kernel) -> System:
    """The process gives memory that is not the guest's back again and again while a cache is refreshed."""
    w = _to_be_refreshed(kernel)
    return w.actor("madvise", _unrelated(w), endless=True).system()


def unrelated_page(kernel: Kernel) -> System:
    """The process gives another page of the guest's memory back again and again while a cache is refreshed."""
    w = _to_be_refreshed(kernel, gfns=2)
    return w.actor("madvise", _unrelated(w), endless=True).system()


def few_unrelated(kernel: Kernel) -> System:
    """The same, a few times only."""
    w = _to_be_refreshed(kernel, gfns=2)
    return w.actor("madvise", *(_unrelated(w),) * 3).system()


def slot_update(kernel: Kernel) -> System:
    """A slot is deleted while the process gives memory back again and again."""
    w = World(kernel, slots=2, caches=lambda v: ())
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    return w.actor("madvise", _unrelated(w), endless=True).system()


def _endless_clock(kernel: Kernel, memory: Memory) -> World:
    """A vCPU that updates its clock for ever."""
    w = World(kernel, memory, slots=2, shared_attribute=True).clock_on()
    return w.actor("vcpu", w.call("run_clock_update", w.vcpu), endless=True)


def clock_and_munmap(kernel: Kernel) -> System:
    """The page goes away for good while the clock is updated again and again."""
    w = _endless_clock(kernel, Memory.ANON)
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


def clock_and_slot_update(kernel: Kernel) -> System:
    """The slot is deleted while the clock is updated again and again."""
    w = _endless_clock(kernel, Memory.ANON)
    return w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva)).system()


def clock_and_conversion(kernel: Kernel) -> System:
    """The page is made private while the clock is updated again and again."""
    w = _endless_clock(kernel, Memory.GMEM)
    return w.actor("convert", w.call("set_memory_attributes", w.kvm, 0, 1, True)).system()
