# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of a VMM that forks: its anonymous memory becomes read-only, and a write of the VMM moves the page."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.scenarios import users
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World


def _fork(w: World) -> tuple[MmStruct, Call]:
    """Return the address space of a child, which is empty, and the call that makes it."""
    child = w.kernel.new_mm("child")
    return child, w.call("kernel_clone", w.mm, child)


def _touch(w: World) -> World:
    """Write to the page of the guest."""
    return w.do(w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def clock(w: World) -> None:
    """The VMM forks, and writes to the page of the clock, while the clock is updated."""
    w.clock_on()
    _, fork = _fork(w)
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    w.actor("vmm", fork, w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def clock_and_child(w: World) -> None:
    """The VMM forks while the clock is updated, and its child exits: the page is exclusive again."""
    w.clock_on()
    child, fork = _fork(w)
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("vmm", fork, w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("child", w.call("wait_for_fork", child), w.call("exit_mmap", child), mm=child)


@scenario(pages=4)
def clock_and_writes(w: World) -> None:
    """The VMM forks while the clock is updated, and its child writes to the page."""
    w.clock_on()
    child, fork = _fork(w)
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    w.actor("vmm", fork)
    w.actor("child", w.call("wait_for_fork", child), w.call("do_user_addr_fault", child, w.hva), mm=child)


@scenario(pages=4)
def clock_left_out(w: World) -> None:
    """The VMM has excluded guest memory by MADV_DONTFORK, and forks while the clock is updated."""
    w.clock_on()
    child, fork = _fork(w)
    w.do(w.call("madvise_dontfork", w.mm, w.hva))
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    w.actor("vmm", fork, w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("child", w.call("wait_for_fork", child), w.call("exit_mmap", child), mm=child)


@scenario(pages=4)
def clock_and_migrate(w: World) -> None:
    """The VMM forks while the page of the clock is moved, and the clock is updated."""
    w.clock_on()
    _, fork = _fork(w)
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("vmm", fork)
    w.actor("compaction", w.call("migrate_pages", w.mm, w.hva), process=False)


@scenario(pages=4)
def clock_and_mprotect(w: World) -> None:
    """The VMM makes the page of the clock read-only, forks, and makes it writable, while the clock is updated."""
    w.clock_on()
    _, fork = _fork(w)
    w.do(w.call("do_mprotect_pkey", w.mm, w.hva, False))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("vmm", fork, w.call("do_mprotect_pkey", w.mm, w.hva, True), w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def activate(w: World) -> None:
    """A cache is activated, and then used, while the VMM forks and writes to its page."""
    _touch(w)
    _, fork = _fork(w)
    gpc = w.vcpu.pv_time
    w.actor(
        "a",
        Call(users.activate_cache, (w.kernel, w.kvm, gpc, 0)),
        Call(users.use_cache, (w.kernel, w.kvm, gpc)),
    )
    w.actor("vmm", fork, w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def hva_cache(w: World) -> None:
    """A cache of a user address in no memslot is refreshed and used while the VMM forks and writes there."""
    gpc = w.vcpu.pv_time
    w.do(
        w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0),
        Call(users.activate_cache_by_hva, (w.kernel, w.kvm, gpc, w.other_hva)),
        w.call("do_mprotect_pkey", w.mm, w.other_hva, False),
        w.call("do_mprotect_pkey", w.mm, w.other_hva, True),
    )
    _, fork = _fork(w)
    w.actor(
        "refresher",
        Call(users.refresh_cache, (w.kernel, w.kvm, gpc)),
        Call(users.use_cache, (w.kernel, w.kvm, gpc)),
    )
    w.actor("vmm", fork, w.call("do_user_addr_fault", w.mm, w.other_hva))


@scenario(pages=4)
def guest(w: World) -> None:
    """The guest writes to memory while the VMM forks and writes to it."""
    _touch(w)
    _, fork = _fork(w)
    access = w.call("run_guest_access", w.vcpu, 0, False)
    w.actor("guest", access, access)
    w.actor("vmm", fork, w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4, log_dirty=True)
def steal_time(w: World) -> None:
    """Steal time is written through its user address while the VMM forks: the write itself copies the page."""
    _touch(w)
    _, fork = _fork(w)
    w.steal_time_on()
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu), w.call("run_sched_out", w.vcpu))
    w.actor("vmm", fork, w.call("do_user_addr_fault", w.mm, w.hva))


def _runs_l2(w: World) -> None:
    """Add a vCPU that pins L1's virtual-APIC page while L2 runs."""
    w.actor(
        "vcpu",
        w.call("run_nested_entry", w.vcpu, w.gpa),
        w.call("run_l2", w.vcpu),
        w.call("run_nested_exit", w.vcpu),
    )


@scenario(pages=4)
def nested(w: World) -> None:
    """L1's virtual-APIC page is pinned while L2 runs, and the VMM forks and writes to it."""
    _touch(w)
    _, fork = _fork(w)
    _runs_l2(w)
    w.actor("vmm", fork, w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=2)
def without_memory(w: World) -> None:
    """The VMM forks while L1's virtual-APIC page is pinned, and finds no page for the copy: the child has no memory."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0), w.call("do_user_addr_fault", w.mm, w.other_hva))
    _touch(w)
    _, fork = _fork(w)
    _runs_l2(w)
    w.actor("vmm", fork)


@scenario(pages=4)
def dontfork(w: World) -> None:
    """The VMM keeps the page of the clock out of its copies, and forks, while the clock is updated."""
    w.clock_on()
    _, fork = _fork(w)
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("vmm", w.call("madvise_dontfork", w.mm, w.hva), fork)
