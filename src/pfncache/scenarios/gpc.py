# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of pfncache's own interface, without a user of the kernel in between."""

from __future__ import annotations

from pfncache.check.system import Call, System
from pfncache.scenarios import users
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import Memory, World


def _gpc(kernel: Kernel, memory: Memory = Memory.ANON, active: bool = True) -> World:
    w = World(kernel, memory)
    return w.clock_on() if active else w


def _activate(w: World, gpa: int = 0) -> Call:
    return Call(users.gpc_activate, (w.kernel, w.kvm, w.vcpu.pv_time, gpa))


def _deactivate(w: World) -> Call:
    return Call(users.gpc_deactivate, (w.kernel, w.vcpu.pv_time))


def _refresh(w: World) -> Call:
    return Call(users.gpc_refresh, (w.kernel, w.kvm, w.vcpu.pv_time))


def _use(w: World) -> Call:
    return Call(users.gpc_use, (w.kernel, w.kvm, w.vcpu.pv_time))


def activate_twice(kernel: Kernel) -> System:
    """Two tasks activate one cache."""
    w = _gpc(kernel, active=False)
    return w.actor("a", _activate(w)).actor("b", _activate(w)).system()


def activate_deactivate(kernel: Kernel) -> System:
    """A cache is deactivated and activated again while another task deactivates it, and a user uses it."""
    w = _gpc(kernel)
    w.actor("a", _deactivate(w), _activate(w)).actor("b", _deactivate(w))
    return w.actor("user", _use(w)).system()


def activate_munmap(kernel: Kernel) -> System:
    """The page goes away while a cache is activated, and a user uses it."""
    w = _gpc(kernel, active=False)
    w.actor("a", _activate(w), _use(w))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


def refresh_deactivate(kernel: Kernel) -> System:
    """A cache is refreshed while it is deactivated, then its page goes away, and a user uses it."""
    w = _gpc(kernel)
    w.do(w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("refresher", _refresh(w), _use(w))
    return w.actor("vmm", _deactivate(w), w.call("vm_munmap", w.mm, w.hva)).system()


def refresh_twice(kernel: Kernel) -> System:
    """Two tasks refresh one cache of device memory, which is mapped and unmapped, while its user address changes."""
    w = _gpc(kernel, Memory.PFNMAP)
    w.actor("a", _activate(w, 1), _use(w)).actor("b", _refresh(w), _use(w))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


def move_in_page(kernel: Kernel) -> System:
    """The guest moves its clock within the page, and the host updates it."""
    w = _gpc(kernel)
    return w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, 1, True),
        w.call("run_clock_update", w.vcpu),
    ).system()


def move_to_other_page(kernel: Kernel) -> System:
    """The guest moves its clock to another page, the host updates it, and the page before goes away."""
    w = World(kernel, gfns=2)
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0)).clock_on()
    w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, w.kernel.PAGE_SIZE, True),
        w.call("run_clock_update", w.vcpu),
    )
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()
