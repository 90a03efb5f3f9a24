# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of memory without a direct map, but for pages that user space declares shared with KVM.

The ioctls are not in mainline, where they fail: a design that has them supports the kind of memory of these scenarios.
"""

from __future__ import annotations

from dataclasses import replace

from pfncache.check.system import Call
from pfncache.linux.include.uapi.linux.kvm import KVM_GMEM_KEEP_DIRECT_MAP, KVM_GMEM_LEAVE_DIRECT_MAP
from pfncache.scenarios.scenario import Declaration, Scenario, scenario
from pfncache.scenarios.world import MemoryKind, World

WINDOW_MEMORY = "gmem-window"
"""The kind of memory, where a kernel may lack it."""


def _window(declare: Declaration) -> Scenario:
    """Make a scenario of guest_memfd without a direct map, for kernels that have the ioctl."""
    return replace(scenario(memory=MemoryKind.GMEM_NDM)(declare), memory=WINDOW_MEMORY)


def _keep(w: World, kept: bool) -> Call:
    """Return the call that keeps the page of the structure in the direct map, or no longer."""
    first = w.layout.pgoff
    cmd = KVM_GMEM_KEEP_DIRECT_MAP if kept else KVM_GMEM_LEAVE_DIRECT_MAP
    return w.call("vfs_ioctl", w.gmem, cmd, first, first + 1)


def _clock(w: World) -> World:
    """Add a vCPU whose clock is in a page that is kept."""
    w.do(_keep(w, True)).clock_on()
    return w.actor("vcpu", *(w.call("run_clock_update", w.vcpu) for _ in range(2)))


@_window
def leave(w: World) -> None:
    """The page of the clock is not to be kept any more while the clock is updated."""
    _clock(w).actor("vmm", _keep(w, False))


@_window
def leave_and_touch(w: World) -> None:
    """The page of the clock is not to be kept any more, and is touched by user space."""
    _clock(w).actor("vmm", _keep(w, False))
    w.actor("toucher", w.call("do_user_addr_fault", w.mm, w.hva))


@_window
def leave_and_return(w: World) -> None:
    """The page of the clock is kept, not kept, and kept again."""
    _clock(w).actor("vmm", _keep(w, False), _keep(w, True))


@_window
def punch(w: World) -> None:
    """The page of the clock, which is kept, is punched out of its file."""
    _clock(w).actor("vmm", w.zap())


@_window
def leave_and_punch(w: World) -> None:
    """The page of the clock is punched while it is not to be kept any more."""
    _clock(w).actor("vmm", _keep(w, False)).actor("punch", w.zap())


@_window
def enter(w: World) -> None:
    """The page of the clock is declared shared only while the clock is set up."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("vcpu", w.call("set_msr_system_time", w.vcpu, w.gpa, True), w.call("run_clock_update", w.vcpu))
    w.actor("vmm", _keep(w, True))


@_window
def nested(w: World) -> None:
    """The virtual-APIC page is not to be kept any more while L2 runs."""
    w.do(_keep(w, True))
    w.actor(
        "vcpu",
        w.call("run_nested_entry", w.vcpu, w.gpa),
        w.call("run_l2", w.vcpu),
        w.call("run_nested_exit", w.vcpu),
    )
    w.actor("vmm", _keep(w, False))
