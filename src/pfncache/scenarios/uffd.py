# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of a VMM that write-protects guest memory by a userfaultfd, as for a snapshot of a VM that runs."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.scenarios import users
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _registered(w: World) -> World:
    """Touch the page of the guest, and register it."""
    return w.do(w.call("do_user_addr_fault", w.mm, w.hva), w.call("userfaultfd_register", w.mm, w.hva))


def _handler(w: World, *before_resolving: Call) -> World:
    """Add a task that protects the page and then allows writes, perhaps before anything has written."""
    return w.actor(
        "handler",
        w.call("userfaultfd_writeprotect", w.mm, w.hva, True),
        *before_resolving,
        w.call("userfaultfd_writeprotect", w.mm, w.hva, False),
    )


def _server(w: World) -> World:
    """Add a task that allows the writes that wait, in a loop."""
    return w.actor("server", Call(users.serve_userfaults, (w.kernel, w.mm, w.hva)), endless=True)


@scenario
def clock(w: World) -> None:
    """The page of the clock is write-protected while the clock is updated, which then waits for user space."""
    _registered(w).clock_on()
    update = w.call("run_clock_update", w.vcpu)
    _handler(w.actor("vcpu", update, update))


@scenario(memory=MemoryKind.MEMFD)
def clock_in_memfd(w: World) -> None:
    """The page of the clock, which is one of a memfd, is write-protected while the clock is updated."""
    _registered(w).clock_on()
    update = w.call("run_clock_update", w.vcpu)
    _handler(w.actor("vcpu", update, update))


@scenario
def clock_and_touch(w: World) -> None:
    """The page of the clock is write-protected: an update of the clock and a write of the process wait."""
    _registered(w).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    _handler(w)


@scenario(pages=4)
def clock_and_migrate(w: World) -> None:
    """The page of the clock is moved while it is write-protected and the clock is updated."""
    _registered(w).clock_on()
    w.do(w.call("userfaultfd_writeprotect", w.mm, w.hva, True))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("compaction", w.call("migrate_pages", w.mm, w.hva), process=False)
    _server(w)


@scenario(pages=4)
def clock_and_fork(w: World) -> None:
    """The VMM forks while the page of the clock is write-protected, so that a write that is allowed copies it."""
    _registered(w).clock_on()
    w.do(w.call("userfaultfd_writeprotect", w.mm, w.hva, True))
    child = w.kernel.new_mm("child")
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("vmm", w.call("kernel_clone", w.mm, child))
    _server(w)


@scenario
def activate(w: World) -> None:
    """A cache is activated, and then used, while its page is write-protected."""
    _registered(w)
    gpc = w.vcpu.pv_time
    w.actor(
        "a",
        Call(users.activate_cache, (w.kernel, w.kvm, gpc, 0)),
        Call(users.use_cache, (w.kernel, w.kvm, gpc)),
    )
    _handler(w)


@scenario
def guest(w: World) -> None:
    """The guest writes to a page that is write-protected."""
    _registered(w)
    access = w.call("run_guest_access", w.vcpu, 0, False)
    _handler(w.actor("guest", access, access))


@scenario(log_dirty=True)
def steal_time(w: World) -> None:
    """Steal time is written through its user address, whose page is write-protected: it waits, or fails in the end."""
    _registered(w)
    w.steal_time_on()
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu), w.call("run_sched_out", w.vcpu))
    _handler(w)


@scenario(slots=2)
def slot_update(w: World) -> None:
    """A memslot is updated by one task while an update of the clock waits for another, in an SRCU section."""
    _registered(w).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, True))
    _handler(w)


@scenario(slots=2)
def slot_update_of_handler(w: World) -> None:
    """The task that allows writes updates a memslot first: it waits for an update of the clock that waits for it."""
    _registered(w).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    _handler(w, w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, True))


@scenario
def mprotect(w: World) -> None:
    """A page is registered and write-protected while the VMM makes it read-only and writable again."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor(
        "handler",
        w.call("userfaultfd_register", w.mm, w.hva),
        w.call("userfaultfd_writeprotect", w.mm, w.hva, True),
    )
    w.actor("vmm", *(w.call("do_mprotect_pkey", w.mm, w.hva, writable) for writable in (False, True)))
