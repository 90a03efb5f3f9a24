# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of device memory, whose page stays where it is when it is invalidated."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.scenarios import users
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World, no_caches


def _protect(w: World) -> World:
    """Add a task that makes device memory read-only and writable again: the pfn is the same after the invalidations."""
    protect = (w.call("do_mprotect_pkey", w.mm, w.hva, writable) for writable in (False, True))
    return w.actor("mprotect", *protect)


@scenario(memory=MemoryKind.PFNMAP)
def clock_and_mprotect(w: World) -> None:
    """The clock in device memory is updated while mprotect() invalidates its cache and leaves the page where it is."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    _protect(w)


@scenario(memory=MemoryKind.PFNMAP)
def activate_and_mprotect(w: World) -> None:
    """A cache of device memory is activated while mprotect() invalidates it and leaves the page where it is."""
    gpc = w.vcpu.pv_time
    w.actor(
        "a",
        Call(users.activate_cache, (w.kernel, w.kvm, gpc, 0)),
        Call(users.use_cache, (w.kernel, w.kvm, gpc)),
    )
    _protect(w)


@scenario(memory=MemoryKind.PFNMAP, caches=no_caches)
def guest_and_mprotect(w: World) -> None:
    """The guest writes to device memory that becomes read-only, so that KVM emulates the write, and writable again."""
    write = w.call("run_guest_access", w.vcpu, 0, False)
    w.actor("guest", write, write)
    _protect(w)
