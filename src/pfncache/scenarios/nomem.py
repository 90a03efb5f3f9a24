# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios in which one allocation fails: fail-nth of fault injection. What was done before it has to be undone."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.uapi.linux.errno import EFAULT, ENOMEM
from pfncache.scenarios import users
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.results import returns
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World

ONE_PAGE = SlotLayout(regions=(Region(),))
"""A memslot of one page, in a VM with more gfns."""


def _fails(w: World, nth: int) -> World:
    """Let the nth allocation of the last actor fail."""
    task = w.actors[-1].task
    assert isinstance(task, TaskStruct)
    task.fail_nth = nth
    return w


def _refused_once(w: World, nth: int, call: Call) -> World:
    """Add a VMM whose nth allocation fails, which makes a call again that has failed; and a guest that faults."""
    w.actor("vmm", returns(call, -ENOMEM), returns(call, 0))
    _fails(w, nth)
    return w.actor("guest", w.call("run_guest_access", w.vcpu, w.gpa, False))


@scenario(memory=MemoryKind.PFNMAP)
def mapping(w: World) -> None:
    """A page of a device cannot be mapped for a cache, then it can, while it is unmapped for user space.

    hva_to_pfn_retry() fails with -EFAULT if gpc_map() does, and the cache stays invalid.
    """
    activate = Call(users.activate_cache, (w.kernel, w.kvm, w.vcpu.pv_time, w.gpa))
    w.actor("vmm", returns(activate, -EFAULT), returns(activate, 0, -EFAULT))
    _fails(w, 1).actor("user", Call(users.use_cache, (w.kernel, w.kvm, w.vcpu.pv_time)))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(slots=2)
def slot_delete(w: World) -> None:
    """There is no memory for the INVALID copy of a memslot that is deleted: kvm_set_memslot()."""
    _refused_once(w, 1, w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


def _create(w: World, nth: int) -> None:
    call = w.call("set_memory_region", w.kvm, 1, 1, 1, w.other_hva, True)
    _refused_once(w, nth, call)


@scenario(slots=3, slot_ids=2, gfns=2, layout=ONE_PAGE)
def slot_create(w: World) -> None:
    """There is no memory for a new memslot: kvm_set_memory_region()."""
    _create(w, 1)


@scenario(slots=3, slot_ids=2, gfns=2, layout=ONE_PAGE)
def slot_create_bitmap(w: World) -> None:
    """There is no memory for the dirty bitmap of a new memslot: kvm_alloc_dirty_bitmap()."""
    _create(w, 2)


@scenario(slots=3, slot_ids=2, gfns=2, layout=ONE_PAGE)
def slot_create_metadata(w: World) -> None:
    """There is no memory for what x86 has of a new memslot, which has a dirty bitmap: kvm_alloc_memslot_metadata()."""
    _create(w, 3)


def _move(w: World, nth: int) -> None:
    """Move the slot, and begin to log it: one change, KVM_MR_MOVE, which needs a dirty bitmap."""
    _refused_once(w, nth, w.call("set_memory_region", w.kvm, 0, 1, 1, w.hva, True))


@scenario(slots=4, gfns=2, layout=ONE_PAGE)
def slot_move(w: World) -> None:
    """There is no memory for the INVALID copy of a memslot that moves: kvm_set_memslot()."""
    _move(w, 2)


@scenario(slots=4, gfns=2, layout=ONE_PAGE)
def slot_move_bitmap(w: World) -> None:
    """There is no memory for the dirty bitmap of a memslot that moves: the old slot replaces the INVALID copy again."""
    _move(w, 3)


@scenario(slots=4, gfns=2, layout=ONE_PAGE)
def slot_move_metadata(w: World) -> None:
    """There is no memory for what x86 has of a memslot that moves, and that has a new dirty bitmap."""
    _move(w, 4)


@scenario(gfns=2, pages=4)
def collapse(w: World) -> None:
    """There is no second page for a collapse, then there is, while the page of the clock is zapped."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    call = w.call("collapse_huge_page", w.mm, w.hva)
    w.actor("khugepaged", returns(call, -ENOMEM), process=False)
    _fails(w, 2).actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
