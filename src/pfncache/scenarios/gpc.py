# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of pfncache's own interface, called directly instead of by one of its users in KVM."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.scenarios import users
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _activate(w: World, gpa: int = 0) -> Call:
    return Call(users.activate_cache, (w.kernel, w.kvm, w.vcpu.pv_time, gpa))


def _deactivate(w: World) -> Call:
    return Call(users.deactivate_cache, (w.kernel, w.vcpu.pv_time))


def _refresh(w: World) -> Call:
    return Call(users.refresh_cache, (w.kernel, w.kvm, w.vcpu.pv_time))


def _use(w: World) -> Call:
    return Call(users.use_cache, (w.kernel, w.kvm, w.vcpu.pv_time))


@scenario
def activate_twice(w: World) -> None:
    """Two tasks activate one cache."""
    w.actor("a", _activate(w)).actor("b", _activate(w))


@scenario
def activate_deactivate(w: World) -> None:
    """A cache is deactivated and activated again while another task deactivates it and a third one uses it."""
    w.clock_on()
    w.actor("a", _deactivate(w), _activate(w)).actor("b", _deactivate(w))
    w.actor("user", _use(w))


@scenario
def activate_munmap(w: World) -> None:
    """The page is unmapped while a cache is activated, and then used."""
    w.actor("a", _activate(w), _use(w))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario
def refresh_deactivate(w: World) -> None:
    """A cache is refreshed while it is deactivated and its page unmapped, and then used."""
    w.clock_on()
    w.do(w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("refresher", _refresh(w), _use(w))
    w.actor("vmm", _deactivate(w), w.call("vm_munmap", w.mm, w.hva))


@scenario(memory=MemoryKind.PFNMAP)
def refresh_twice(w: World) -> None:
    """A task activates a cache of device memory again and another refreshes it while its page is unmapped."""
    w.clock_on()
    w.actor("a", _activate(w, 1), _use(w)).actor("b", _refresh(w), _use(w))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario
def move_in_page(w: World) -> None:
    """The guest moves its clock within the page, and KVM updates it."""
    w.clock_on()
    w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, 1, True),
        w.call("run_clock_update", w.vcpu),
    )


@scenario(gfns=2)
def move_to_other_page(w: World) -> None:
    """The guest moves its clock to another page, KVM updates it, and the first page is unmapped."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0)).clock_on()
    w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, w.kernel.PAGE_SIZE, True),
        w.call("run_clock_update", w.vcpu),
    )
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))
